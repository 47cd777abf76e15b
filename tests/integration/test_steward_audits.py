"""Findings are summed once, and an automation that errs too often stops itself once, however many stewards look."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import orjson
import pytest
from sqlalchemy.exc import IntegrityError

from migrations.run import downgrade, upgrade
from services.steward import braking
from services.steward.repository import auditing
from shared.casework import audits
from shared.casework import repository as casework
from shared.casework.audits import Drawn, Finding, judged
from shared.db import unit_of_work
from tests.casework_data import decided
from tests.horizon import settle
from tests.integration.facts import two_tenants

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Engine

    from tests.conftest import Database

SHARE = Decimal("0.2")


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    with two_tenants(database) as engine:
        yield engine


def _rows(engine: Engine, statement: str) -> list[tuple[Any, ...]]:
    with unit_of_work(engine) as connection:
        return [tuple(row) for row in connection.exec_driver_sql(statement)]


def _decide(engine: Engine, count: int, *, share: Decimal = SHARE, drawn: int = 0, tenant: str = "acme") -> list[UUID]:
    """Automatic decisions, of which the first ``drawn`` are to be looked at again; returns the ids of these."""
    made = [replace(decided(), case_id=uuid4(), tenant_id=tenant, audit_probability=share) for _ in range(count)]
    with unit_of_work(engine) as connection:
        casework.record_decisions(connection, made)
        audits.record_draws(connection, [Drawn(one, share, min(share, SHARE)) for one in made[:drawn]])
    return [one.case_id for one in made[:drawn]]


def _find(engine: Engine, case_ids: Sequence[UUID], answers: Sequence[str], *, round_: int = 0, tenant: str = "acme") -> None:
    with unit_of_work(engine) as connection:
        for case_id, answer in zip(case_ids, answers, strict=True):
            wrong = judged("adjuster", answer, round_=round_)
            audits.record_finding(
                connection,
                Finding(
                    case_id=case_id, round=round_, tenant_id=tenant, automation="claims", review_id=uuid4(), outcome=answer, wrong=wrong,
                    reviewer=f"person {round_}",
                ),
            )  # fmt: skip


def _err(engine: Engine, case_ids: Sequence[UUID], tenant: str = "acme") -> None:
    """Two people say that the first answer was wrong."""
    for round_ in (0, 1):
        _find(engine, case_ids, ["fast_track_pay"] * len(case_ids), round_=round_, tenant=tenant)


def _judge(engine: Engine) -> int:
    settle(engine)
    return braking.judge_audits(engine)


SUMS = "SELECT decisions, probability, least, drawn, done, disputed, wrong, weighted FROM audit_days WHERE tenant_id = 'acme'"
WEIGHTS = "SELECT weighted_drawn, weighted_done, weighted_disputed FROM audit_days WHERE tenant_id = 'acme'"
ALL = "decisions, probability, least, drawn, done, disputed, wrong, weighted, weighted_drawn, weighted_done, weighted_disputed"


BY_HOUR, BY_DAY = (f"SELECT {period}, {ALL} FROM audit_{period}s WHERE tenant_id = 'acme'" for period in ("hour", "day"))
BY_MONTH = f"SELECT month, {ALL} FROM audit_months WHERE tenant_id = 'acme'"
OF_DAYS, OF_HOURS = (
    f"SELECT date_trunc('{whole}', {period}, 'UTC'), sum(decisions)::bigint, sum(probability), min(least), sum(drawn)::bigint,"
    f" sum(done)::bigint, sum(disputed)::bigint, sum(wrong)::bigint, sum(weighted), sum(weighted_drawn),"
    f" sum(weighted_done), sum(weighted_disputed) FROM audit_{period}s WHERE tenant_id = 'acme' GROUP BY 1"
    for period, whole in (("day", "month"), ("hour", "day"))
)


def test_decisions_draws_and_findings_are_summed_once_whenever_they_are_looked_at(engine: Engine) -> None:
    ids = _decide(engine, 50, drawn=10)
    _judge(engine)
    assert _rows(engine, SUMS) == [(50, Decimal(10), SHARE, 10, 0, 0, 0, 0)]
    _find(engine, ids[:8], ["adjuster"] * 6 + ["fast_track_pay"] * 2)
    _judge(engine)
    assert _rows(engine, SUMS) == [(50, Decimal(10), SHARE, 10, 6, 2, 0, 0)]
    assert _rows(engine, WEIGHTS) == [(50, 30, 10)]
    _find(engine, ids[6:8], ["adjuster", "fast_track_pay"], round_=1)
    _judge(engine)
    _judge(engine)
    assert _rows(engine, SUMS) == [(50, Decimal(10), SHARE, 10, 8, 0, 1, Decimal(5))]
    assert _rows(engine, WEIGHTS) == [(50, 40, 0)]
    assert _rows(engine, BY_MONTH) == _rows(engine, OF_DAYS)


def test_a_database_from_before_sums_by_day_gets_them_from_its_hours(engine: Engine, database: Database) -> None:
    ids = _decide(engine, 50, drawn=10)
    _find(engine, ids[:8], ["adjuster"] * 8)
    _judge(engine)
    found = _rows(engine, SUMS)
    engine.dispose()
    downgrade(database.admin_url, "0016")
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql(
            "INSERT INTO audit_hourly (tenant_id, automation, hour, decisions, probability, least, drawn, done, disputed, wrong, weighted)"
            " SELECT tenant_id, automation, hour + interval '1 minute', 1, 0.5, 0.5, 1, 1, 0, 1, 2 FROM audit_hourly"
        )
    upgrade(database.admin_url, "0017")
    ((decisions, probability, least, *rest),) = found
    assert _rows(engine, SUMS) == [(decisions + 1, probability + Decimal("0.5"), least, rest[0] + 1, rest[1] + 1, 0, 1, Decimal(2))]


def test_a_database_from_before_sums_by_hour_gets_them_from_its_facts(engine: Engine, database: Database) -> None:
    ids = _decide(engine, 50, drawn=10)
    _err(engine, ids[:3])
    _find(engine, ids[3:8], ["adjuster"] * 4 + ["fast_track_pay"])
    _judge(engine)
    found = _rows(engine, BY_HOUR)
    assert _rows(engine, OF_HOURS) == _rows(engine, BY_DAY)
    # Not summed up yet: the steward adds it later.
    _find(engine, ids[8:9], ["adjuster"])
    engine.dispose()
    downgrade(database.admin_url, "0025")
    upgrade(database.admin_url)
    engine.dispose()
    assert _rows(engine, BY_HOUR) == found
    _judge(engine)
    assert sum(row[5] for row in _rows(engine, BY_HOUR)) == sum(row[5] for row in found) + 1


def test_a_database_from_before_sums_by_month_gets_them_from_its_days(engine: Engine, database: Database) -> None:
    _err(engine, _decide(engine, 50, drawn=10)[:3])
    _judge(engine)
    found = _rows(engine, BY_MONTH)
    engine.dispose()
    downgrade(database.admin_url, "0021")
    upgrade(database.admin_url)
    assert _rows(engine, BY_MONTH) == found


def test_a_database_from_before_weighted_looks_gets_them_from_its_facts(engine: Engine, database: Database) -> None:
    # A third has no end, so a sum of weights depends on where they were rounded.
    ids = _decide(engine, 40, share=Decimal("0.3"), drawn=9)
    _err(engine, ids[:3])
    _find(engine, ids[3:7], ["adjuster"] * 3 + ["fast_track_pay"])
    _err(engine, _decide(engine, 5, share=Decimal("0.7"), drawn=2)[:1])
    _judge(engine)
    found = {statement: _rows(engine, statement) for statement in (BY_HOUR, BY_DAY, BY_MONTH)}
    _find(engine, ids[7:8], ["adjuster"])
    third, seventh = Decimal("3.3333333333"), Decimal("1.4285714286")
    assert _rows(engine, WEIGHTS) == [(9 * third + 2 * seventh, 6 * third + seventh, third)]
    engine.dispose()
    downgrade(database.admin_url, "0026")
    with unit_of_work(engine) as connection:
        for period in ("hour", "day", "month"):
            connection.exec_driver_sql(f"UPDATE audit_{period}s SET weighted = weighted + 0.0000000001")
    engine.dispose()
    upgrade(database.admin_url)
    assert {statement: _rows(engine, statement) for statement in found} == found


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO audit_hours (tenant_id, automation, hour, decisions, drawn) VALUES ('acme', 'claims', now(), 10, 1)",
        "INSERT INTO audit_months (tenant_id, automation, month, decisions, drawn) VALUES ('acme', 'claims', now(), 10, 1)",
        (
            "INSERT INTO score_sums (tenant_id, automation, grain, period, tier, model_version, proposed, bin, booked, cases, automatic,"
            " reviewed, reviewed_wrong, auditable, drawn, audited, audited_wrong, weighted_wrong)"
            " VALUES ('acme', 'claims', 'day', now(), 'nano', '1', 'approve', 90, now(), 10, 10, 0, 0, 10, 1, 0, 0, 0)"
        ),
        (
            "INSERT INTO case_buckets (tenant_id, grain, period, automation, stratum, share, control, human, automatic, seconds,"
            " control_seconds, control_seconds2) VALUES ('acme', 'day', now(), 'claims', '-', 0.05, 1, 0, 9, 0, 60, 3600)"
        ),
    ],
)
def test_what_a_steward_of_before_adds_up_is_refused(engine: Engine, statement: str) -> None:
    """It knows neither weights nor gains: sums without them would be figures that nobody could tell from right ones."""
    with pytest.raises(IntegrityError, match=r"(weighted_drawn|gain)"), unit_of_work(engine) as connection:
        connection.exec_driver_sql(statement)


def test_a_likelier_draw_counts_less(engine: Engine) -> None:
    _err(engine, _decide(engine, 10, share=Decimal("0.5"), drawn=1))
    _err(engine, _decide(engine, 90, drawn=1))
    _judge(engine)
    assert _rows(engine, SUMS) == [(100, Decimal(23), SHARE, 2, 2, 0, 2, Decimal(7))]


def test_an_automation_that_errs_far_above_its_limit_brakes_once_with_two_stewards(engine: Engine) -> None:
    ids = _decide(engine, 500, drawn=100)
    _err(engine, ids[:30])
    _find(engine, ids[30:], ["adjuster"] * 70)
    settle(engine)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: braking.judge_audits(engine), range(8)))
    _judge(engine)
    ((automation, evidence, released),) = _rows(engine, "SELECT automation, evidence, released_at FROM brakes")
    assert (automation, released) == ("claims", None)
    assert (evidence["audits"], evidence["wrong"], evidence["limit"]) == (100, 30, "0.0500")
    assert evidence["error_rate"]["low"] > 0.05
    ((tenant, kind, body, published),) = _rows(
        engine, "SELECT tenant_id, kind, body, published_at IS NOT NULL FROM outbox WHERE case_id IS NULL"
    )
    assert (tenant, kind, published) == ("acme", "automation.braked", True)
    message = orjson.loads(bytes(body))
    assert (message["type"], message["data"]["automation"], message["data"]["evidence"]) == (
        "com.recoup.automation.braked.v1", "claims", evidence,
    )  # fmt: skip
    assert _rows(engine, "SELECT actor FROM audit_log WHERE action = 'automation.braked'") == [("steward",)]


def test_an_automation_within_its_limit_goes_on_and_one_of_another_tenant_is_its_own(engine: Engine) -> None:
    ids = _decide(engine, 2000, drawn=400)
    _find(engine, ids, ["adjuster"] * 384 + ["fast_track_pay"] * 16)
    _find(engine, ids[384:], ["fast_track_pay"] * 16, round_=1)
    _err(engine, _decide(engine, 300, drawn=60, tenant="other")[:40], tenant="other")
    _judge(engine)
    assert _rows(engine, "SELECT tenant_id FROM brakes") == [("other",)]


def test_an_automation_within_its_limit_goes_on_where_fewer_decisions_are_drawn_from_now_on(engine: Engine) -> None:
    # At first every decision could be drawn, then every fifth, of which four in a hundred are wrong: five may be.
    _decide(engine, 3000, share=Decimal(1))
    for _ in range(12):
        ids = _decide(engine, 250, drawn=50)
        _err(engine, ids[:2])
        _find(engine, ids[2:], ["adjuster"] * 48)
        _judge(engine)
    assert _rows(engine, "SELECT audits, wrong FROM brake_evidence") == [(600, 24)]
    assert _rows(engine, "SELECT count(*) FROM brakes") == [(0,)]


def test_draws_that_are_likelier_in_one_stratum_scale_the_limit(engine: Engine) -> None:
    # Half of the decisions are drawn half of the time, the others at a fifth: the mean is 0.35.
    least, likelier = SHARE, Decimal("0.5")
    with unit_of_work(engine) as connection:
        made = [replace(decided(), case_id=uuid4(), audit_probability=p) for p in (least,) * 20 + (likelier,) * 50]
        audits.record_draws(connection, [Drawn(case, case.audit_probability or least, least) for case in made])
        assert auditing.weight(connection, "acme", "claims", least) == pytest.approx(0.2 / 0.35)
        assert auditing.weight(connection, "acme", "claims", likelier) == 1


def test_evidence_is_the_same_in_one_portion_and_in_many(engine: Engine) -> None:
    verdicts = [random.Random(5).random() < 0.04 for _ in range(60)]
    for tenant, portion in (("acme", 60), ("other", 7)):
        ids = _decide(engine, 300, drawn=60, tenant=tenant)
        _judge(engine)
        for start in range(0, 60, portion):
            for case_id, wrong in list(zip(ids, verdicts, strict=True))[start : start + portion]:
                if wrong:
                    _err(engine, [case_id], tenant)
                else:
                    _find(engine, [case_id], ["adjuster"], tenant=tenant)
            _judge(engine)
    mine, others = _rows(engine, "SELECT audits, wrong, round(highest::numeric, 9), reserve FROM brake_evidence ORDER BY tenant_id")
    assert mine == others
    assert (mine[0], mine[1]) == (60, sum(verdicts))


def test_after_a_release_the_old_findings_are_not_held_against_it_again(engine: Engine) -> None:
    ids = _decide(engine, 500, drawn=100)
    _err(engine, ids[:30])
    _judge(engine)
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql("UPDATE brakes SET released_at = now(), released_by = 'a person'")
        connection.exec_driver_sql(
            "UPDATE brake_evidence SET stakes = '{}', audits = 0, wrong = 0, highest = 1, horizon = pg_current_xact_id()"
        )
    _find(engine, ids[30:], ["adjuster"] * 70)
    _judge(engine)
    assert _rows(engine, "SELECT audits, wrong FROM brake_evidence") == [(70, 0)]
    assert _rows(engine, "SELECT count(*) FROM brakes") == [(1,)]
    _err(engine, _decide(engine, 100, drawn=30))
    _judge(engine)
    assert _rows(engine, "SELECT count(*), count(released_at) FROM brakes") == [(2, 1)]


def test_sums_answer_what_a_careful_figure_needs(engine: Engine) -> None:
    ids = _decide(engine, 1000, drawn=200)
    _err(engine, ids[:4])
    _find(engine, ids[4:150], ["adjuster"] * 146)
    _judge(engine)
    with unit_of_work(engine) as connection:
        sums = auditing.sums(connection, "acme", "claims")
    assert (sums.decisions, sums.drawn, sums.done, sums.wrong, sums.weighted, sums.least) == (1000, 200, 150, 4, Decimal(20), SHARE)
    assert (sums.weighted_drawn, sums.weighted_done, sums.weighted_disputed) == tuple(map(Decimal, (1000, 750, 0)))
    assert sums.standing_for(sums.weighted_done) == 750
