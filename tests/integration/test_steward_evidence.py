"""Draws, clocks and scores are added up once, whatever the order in which they come."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from migrations.run import downgrade, upgrade
from services.steward import service
from shared.casework import audits as second_looks
from shared.casework import repository as casework
from shared.casework.audits import Drawn, Finding
from shared.casework.experiment import MEASURES
from shared.casework.values import Decided, NewReview, ReviewKind
from shared.clock import SystemClock
from shared.db import unit_of_work
from shared.ids import uuid7
from shared.models.rollups import SCORE_WEIGHTS
from tests.horizon import settle
from tests.integration.facts import Case, add_tenant, decide, engine_of, hours_ago, receive
from tests.integration.time_travel import set_database_clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Engine

    from tests.conftest import Database


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    with engine_of(database) as engine:
        with unit_of_work(engine) as connection:
            add_tenant(connection)
        yield engine


def gathered(engine: Engine, table: str) -> list[dict[str, Any]]:
    settle(engine)
    service.gather_evidence(engine)
    with unit_of_work(engine) as connection:
        return [dict(row) for row in connection.exec_driver_sql(f"TABLE {table}").mappings()]


def experiment(engine: Engine) -> list[dict[str, Any]]:
    """By day; the hours and the months are the same in sum."""
    hours, days, months = (gathered(engine, f"experiment_{period}s") for period in ("hour", "day", "month"))
    assert all(row["hour"] == row["hour"].replace(minute=0, second=0, microsecond=0) for row in hours)
    assert _summed(hours, "hour", hour=0) == _summed(days, "day")
    assert _summed(days, "day", day=1) == _summed(months, "month")
    return days


def _summed(rows: Sequence[dict[str, Any]], period: str, **begun: int) -> dict[tuple[object, ...], list[Any]]:
    """Measures by all else, each period as the longer one that it begins in."""
    sums: dict[tuple[object, ...], list[Any]] = {}
    for row in rows:
        start = row[period].astimezone(UTC).replace(**begun)
        own = sums.setdefault((row["tenant_id"], row["automation"], row["share"], start), [0] * len(MEASURES))
        own[:] = [total + row[name] for total, name in zip(own, MEASURES, strict=True)]
    return sums


def scored(engine: Engine) -> list[dict[str, Any]]:
    """By day; by week and by month they must be the same in sum."""
    rows = gathered(engine, "score_sums")
    days, weeks, months = ([row for row in rows if row["grain"] == grain] for grain in ("day", "week", "month"))
    for name in ("cases", "automatic", "reviewed_wrong", "audited", *SCORE_WEIGHTS):
        assert total(days, name) == total(weeks, name) == total(months, name)
    return days


def test_a_database_from_before_scores_by_booking_gets_them_from_what_is_summed_up(engine: Engine, database: Database) -> None:
    start = hours_ago(24 * 40).replace(hour=0, minute=0)
    for days in (0, 1, 20, 39):
        set_database_clock(database, start + timedelta(days=days, hours=9))
        with unit_of_work(engine) as connection:
            cases = [case for case in receive(connection, 40, at=start) if case.arm == "automated"]
            for case in cases:
                infer(connection, case, Said(0.98, "adjuster", "adjuster"))
            # Some are booked long after they were decided.
            decided = audited_decisions(connection, cases[:12], Decimal("0.25"), at=start + timedelta(days=days // 2))
            second_looks.record_draws(connection, [Drawn(one, Decimal("0.25"), Decimal("0.1")) for one in decided[:4]])
            for case in cases[12:16]:
                review(connection, case, ReviewKind.EXCEPTION, active="9", span="9", proposal="fast_track_pay")
            decide(connection, cases[12:16], tier="human", at=start + timedelta(days=days))
        set_database_clock(database, start + timedelta(days=days, hours=30))
        with unit_of_work(engine) as connection:
            for number, case in enumerate(cases[:3]):
                found(connection, case, wrong=number == 0)
        before = scored(engine)
    assert (total(before, "cases"), total(before, "audited"), total(before, "audited_wrong")) == (64, 12, 4)
    assert len({row["booked"] for row in before}) > len({row["period"] for row in before})
    with unit_of_work(engine) as connection:
        # Not summed up yet: the steward adds it later.
        found(connection, cases[3], wrong=False)
    engine.dispose()
    downgrade(database.admin_url, "0022")
    upgrade(database.admin_url)
    engine.dispose()
    with unit_of_work(engine) as connection:
        again = [dict(row) for row in connection.exec_driver_sql("TABLE score_sums").mappings() if row["grain"] == "day"]
    assert sorted(again, key=repr) == sorted(before, key=repr)
    assert total(scored(engine), "audited") == 13


def total(rows: Sequence[dict[str, Any]], name: str) -> int:
    return sum(row[name] for row in rows)


@dataclass(frozen=True, slots=True)
class Said:
    """What a tier said. Attributes: outcome: None where it abstained."""

    score: float | None
    outcome: str | None
    label: str | None = None
    tier: str = "nano"


def infer(connection: Connection, case: Case, said: Said) -> None:
    connection.exec_driver_sql(
        "INSERT INTO inferences (case_id, attempt, position, tenant_id, tier, model_version, outcome, label, score, detail,"
        " cpu_ns, wall_ns) VALUES (%(case)s, 1, %(position)s, %(tenant)s, %(tier)s, %(model)s, %(outcome)s, %(label)s, %(score)s,"
        " '{}', 1, 1)",
        {
            "case": case.id,
            "position": 0 if said.tier == "rules" else 1,
            "tenant": case.tenant,
            "tier": said.tier,
            "model": None if said.tier == "rules" else "m@1",
            "outcome": said.outcome,
            "label": said.label,
            "score": said.score,
        },
    )


def review(connection: Connection, case: Case, kind: ReviewKind, *, active: str, span: str, proposal: str | None = None) -> None:
    """A submitted one."""
    proposed = None if proposal is None else {"outcome": proposal, "confidence": 0.5, "attributes": {}}
    casework.open_reviews(
        connection, [NewReview(case_id=case.id, tenant_id=case.tenant, automation=case.automation, kind=kind, proposal=proposed)]
    )
    connection.exec_driver_sql(
        "UPDATE reviews SET state = 'submitted', submitted_at = now(), active_seconds = %(active)s, span_seconds = %(span)s,"
        " booked_seconds = least(%(active)s, %(span)s) WHERE case_id = %(case)s",
        {"active": Decimal(active), "span": Decimal(span), "case": case.id},
    )


def test_every_draw_is_counted_with_its_probability_and_a_repeated_event_is_not(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        first = receive(connection, 200, repeated=30)
        connection.exec_driver_sql("UPDATE automation_settings SET control_share = 0.5")
        later = receive(connection, 100)
    rows = {row["share"]: row for row in experiment(engine)}
    for share, cases in ((Decimal("0.3000"), first), (Decimal("0.5000"), later)):
        arms = Counter(case.arm for case in cases)
        assert (rows[share]["drawn_control"], rows[share]["drawn_automated"]) == (arms["control"], arms["automated"])


def test_who_crosses_and_whose_time_is_missing_is_seen_when_a_case_is_decided(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        cases = receive(connection, 200)
        control, automated = ([case for case in cases if case.arm == arm] for arm in ("control", "automated"))
        decide(connection, control[:10])
        decide(connection, control[10:13], seconds="0")
        asked = automated[:20]
        for case in asked:
            infer(connection, case, Said(None, None))
        decide(connection, asked, tier="human")
        # Quarantined, say: people decided without a tier having spoken.
        decide(connection, automated[20:24], tier="human")
        decide(connection, automated[24:60])
    rows = experiment(engine)
    assert total(rows, "crossed_automated") == 4
    assert (total(rows, "unclocked_control"), total(rows, "unclocked_automated")) == (3, 0)


def test_clocks_that_disagree_are_added_up(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        control = [case for case in receive(connection, 60) if case.arm == "control"][:3]
        for case, active, span in zip(control, ("100", "30.5", "90"), ("160", "120", "60"), strict=True):
            review(connection, case, ReviewKind.CONTROL, active=active, span=span)
        decide(connection, control)
    (row,) = experiment(engine)
    assert (row["reviews"], row["apart"]) == (3, 1)
    assert (row["active_seconds"], row["span_seconds"]) == (Decimal("220.500"), Decimal("340.000"))
    assert (row["difference_seconds"], row["beyond_span_seconds"]) == (Decimal("179.500"), Decimal("30.000"))


def test_a_score_is_counted_where_it_falls_with_what_people_found(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        automatic, agreed, refused = [case for case in receive(connection, 60) if case.arm == "automated"][:3]
        infer(connection, automatic, Said(None, None, tier="rules"))
        infer(connection, automatic, Said(0.9349, "adjuster", "adjuster"))
        decide(connection, [automatic])
        # Not sure enough; the person was shown `adjuster`, and took it, or did not.
        infer(connection, agreed, Said(0.61, None, "adjuster"))
        review(connection, agreed, ReviewKind.EXCEPTION, active="9", span="9", proposal="adjuster")
        infer(connection, refused, Said(0.615, None, "fast_track_pay"))
        review(connection, refused, ReviewKind.EXCEPTION, active="9", span="9", proposal="fast_track_pay")
        decide(connection, [agreed, refused], tier="human")
    rows = {(row["proposed"], row["bin"]): row for row in scored(engine)}
    assert {key: (row["cases"], row["automatic"], row["reviewed"], row["reviewed_wrong"]) for key, row in rows.items()} == {
        ("adjuster", 93): (1, 1, 0, 0),
        ("adjuster", 61): (1, 0, 1, 0),
        ("fast_track_pay", 61): (1, 0, 1, 1),
    }


def test_what_an_audit_finds_later_is_added_to_the_score_with_its_weight(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        cases = [case for case in receive(connection, 80) if case.arm == "automated"][:6]
        for case in cases:
            infer(connection, case, Said(0.98, "adjuster"))
        decided = audited_decisions(connection, cases, Decimal("0.25"))
        second_looks.record_draws(connection, [Drawn(one, Decimal("0.25"), Decimal("0.1")) for one in decided[:4]])
    (row,) = scored(engine)
    assert (row["auditable"], row["drawn"], row["audited"], row["least"]) == (6, 4, 0, Decimal("0.2500"))
    with unit_of_work(engine) as connection:
        found(connection, cases[0], wrong=False)
        found(connection, cases[1], wrong=None)
        found(connection, cases[1], wrong=True)
    (row,) = scored(engine)
    assert (row["cases"], row["drawn"], row["audited"], row["audited_wrong"]) == (6, 4, 2, 1)
    assert [row[name] for name in SCORE_WEIGHTS] == [16, 8, 4]


def audited_decisions(connection: Connection, cases: Sequence[Case], probability: Decimal, *, at: datetime | None = None) -> list[Decided]:
    decided = [
        Decided(
            case_id=case.id,
            tenant_id=case.tenant,
            automation=case.automation,
            arm=case.arm,
            stratum="s",
            source="test",
            event_id=str(case.id),
            event_type="t",
            occurred_at=case.received_at,
            received_at=case.received_at,
            traceparent=None,
            outcome="adjuster",
            adverse=False,
            confidence=0.98,
            reasons=(),
            attributes={},
            tier="nano",
            model_version="m@1",
            decided_by="model",
            decided_at=at or SystemClock().now(),
            audit_probability=probability,
        )
        for case in cases
    ]
    casework.record_decisions(connection, decided)
    return decided


def found(connection: Connection, case: Case, *, wrong: bool | None) -> None:
    second_looks.record_finding(
        connection,
        Finding(
            case_id=case.id,
            round=int(bool(wrong)),
            tenant_id=case.tenant,
            automation=case.automation,
            review_id=uuid7(),
            outcome="x",
            wrong=wrong,
            reviewer="somebody",
        ),
    )


def test_facts_that_come_in_portions_are_counted_once(engine: Engine) -> None:
    counted = 0
    for hours in (60, 30, 0):
        with unit_of_work(engine) as connection:
            cases = receive(connection, 40, at=hours_ago(hours))
            automated = [case for case in cases if case.arm == "automated"]
            for case in automated:
                infer(connection, case, Said(0.5, "adjuster"))
            decide(connection, automated, at=hours_ago(hours))
            counted += len(automated)
        assert total(scored(engine), "cases") == counted
        assert service.gather_evidence(engine) == 0
    rows = experiment(engine)
    assert total(rows, "drawn_control") + total(rows, "drawn_automated") == 120


def test_a_database_from_before_sums_by_hour_and_month_gets_them_from_what_is_summed_up(engine: Engine, database: Database) -> None:
    with unit_of_work(engine) as connection:
        cases = receive(connection, 80)
        control, automated = ([case for case in cases if case.arm == arm] for arm in ("control", "automated"))
        for case in control[:4]:
            review(connection, case, ReviewKind.CONTROL, active="100", span="170")
        decide(connection, control[:4])
        decide(connection, control[4:6], seconds="0")
        decide(connection, automated[:9], tier="human")
    before = experiment(engine)
    assert (total(before, "apart"), total(before, "unclocked_control"), total(before, "crossed_automated")) == (4, 2, 9)
    with unit_of_work(engine) as connection:
        # Not summed up yet: the steward adds it to days and hours later.
        decide(connection, automated[9:12], tier="human")
    engine.dispose()
    downgrade(database.admin_url, "0019")
    upgrade(database.admin_url)
    after = experiment(engine)
    assert total(after, "crossed_automated") == 12
