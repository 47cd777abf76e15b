"""Roll-ups hold every committed fact exactly once, whatever happens to the steward."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from itertools import permutations
from threading import Event
from typing import TYPE_CHECKING

import psycopg
import pytest

from migrations.run import downgrade, upgrade
from services.steward import service
from services.steward.repository import rollups
from shared.db import unit_of_work
from shared.ledger import posting
from shared.ledger import repository as ledger
from shared.ledger.sums import BUCKET_MEASURES, CASE_MEASURES, LINE_MEASURES
from tests.horizon import roll_up
from tests.integration.facts import Subject, add_tenant, add_work, decide, engine_of, hours_ago, receive
from tests.integration.recomputation import Facts, stored
from tests.patience import eventually
from tests.servers import ROOT, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import Engine

    from tests.conftest import Database

# What the roll-up of conservation must hold, computed from the facts in one go.
CONSERVATION = """
    SELECT tenant_id, automation, hour, booked,
           sum(a)::bigint, sum(b)::bigint, sum(c)::bigint, sum(d)::bigint, sum(e)::bigint, sum(f)::bigint
    FROM (SELECT tenant_id, automation, hour, date_trunc('hour', booked_at) AS booked,
              received AS a, duplicate AS b, rejected AS c, 0 AS d, 0 AS e, 0 AS f FROM intake_batches
          UNION ALL SELECT tenant_id, automation, date_trunc('hour', received_at), date_trunc('hour', booked_at), 0, 0, 0,
              CASE WHEN arm = 'automated' AND tier <> 'human' THEN 1 ELSE 0 END,
              CASE WHEN arm = 'automated' AND tier = 'human' THEN 1 ELSE 0 END, CASE WHEN arm = 'control' THEN 1 ELSE 0 END
          FROM decisions) facts GROUP BY 1, 2, 3, 4"""
CONSERVATION_STORED = """
    SELECT tenant_id, automation, hour, booked, received, duplicate, rejected, automated, human, control FROM conservation_hourly"""

# And how many needed a person, by day of receipt.
ARRIVALS = """
    SELECT tenant_id, automation, date_trunc('day', received_at) AS day, count(*) AS people
    FROM decisions WHERE arm = 'control' OR tier = 'human' GROUP BY 1, 2, 3"""
ARRIVALS_STORED = "SELECT tenant_id, automation, day, people FROM arrival_days"


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    with engine_of(database) as engine:
        with unit_of_work(engine) as connection:
            add_tenant(connection)
        yield engine


def assert_rolled_up(engine: Engine) -> None:
    with unit_of_work(engine, snapshot=True) as connection:
        facts = Facts.of(connection)
        assert stored(connection, "case_sums", CASE_MEASURES) == facts.case_sums()
        assert stored(connection, "ledger_sums", LINE_MEASURES) == facts.ledger_sums()
        assert stored(connection, "case_buckets", BUCKET_MEASURES) == facts.case_buckets()
        assert stored(connection, "money_buckets", ["amount"]) == facts.money_buckets()
        for one, other in (*permutations((CONSERVATION_STORED, CONSERVATION)), *permutations((ARRIVALS_STORED, ARRIVALS))):
            assert connection.exec_driver_sql(f"({one}) EXCEPT ALL ({other})").all() == []
        assert connection.exec_driver_sql("SELECT count(*) FROM conservation WHERE difference <> 0").scalar_one() == 0


def _cases_rolled_up(engine: Engine) -> int:
    with unit_of_work(engine) as connection:
        return int(connection.exec_driver_sql("SELECT coalesce(sum(cases), 0) FROM case_sums WHERE grain = 'day'").scalar_one())


def test_roll_ups_equal_a_full_recomputation(engine: Engine) -> None:
    for hours in (0, 1, 5):
        with unit_of_work(engine) as connection:
            cases = receive(connection, 40, at=hours_ago(hours), repeated=3)
        with unit_of_work(engine) as connection:
            decide(connection, cases[:20], seconds="61.123456789")
            decide(connection, cases[20:35], tier="human", stratum="other", at=hours_ago(hours))
        roll_up(engine)
    assert _cases_rolled_up(engine) == 105
    assert_rolled_up(engine)


def test_a_database_from_before_weeks_and_buckets_gets_them_from_its_other_sums(engine: Engine, database: Database) -> None:
    for hours in (0, 200, 900):
        with unit_of_work(engine) as connection:
            decide(connection, receive(connection, 10, at=hours_ago(hours)), seconds="61.5", at=hours_ago(hours))
    roll_up(engine)
    engine.dispose()
    downgrade(database.admin_url, "0012")
    upgrade(database.admin_url)
    assert_rolled_up(engine)


def test_a_second_run_adds_nothing(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        decide(connection, receive(connection, 10))
    assert roll_up(engine) > 0
    assert service.roll_up(engine) == 0
    assert_rolled_up(engine)


def test_a_fact_committed_late_by_an_older_transaction_is_not_skipped(engine: Engine) -> None:
    with engine.connect() as slow:
        with slow.begin():
            decide(slow, receive(slow, 1))
            with unit_of_work(engine) as quick:
                decide(quick, receive(quick, 10))
            service.roll_up(engine)
            assert _cases_rolled_up(engine) == 0
        roll_up(engine)
    assert _cases_rolled_up(engine) == 11
    assert_rolled_up(engine)


def _claims_to_know(engine: Engine) -> bool:
    """Whether the sums are said to hold every fact that there is."""
    with unit_of_work(engine) as connection:
        return bool(
            connection.exec_driver_sql(
                "SELECT rolled_at > (SELECT max(booked_at) FROM decisions) FROM rollup_horizons WHERE name = 'rollups'"
            ).scalar_one()
        )


def _rolled_at(engine: Engine) -> datetime:
    with unit_of_work(engine) as connection:
        found: datetime = connection.exec_driver_sql("SELECT rolled_at FROM rollup_horizons WHERE name = 'rollups'").scalar_one()
    return found


def test_the_moment_up_to_which_all_is_summed_up_does_not_go_back(engine: Engine) -> None:
    """A fact that was begun before that moment and committed after it, beside a transaction that still runs."""
    with engine.connect() as oldest, engine.connect() as late:
        with oldest.begin():
            oldest.exec_driver_sql("SELECT pg_current_xact_id()")
            with late.begin():
                decide(late, receive(late, 1))
                service.roll_up(engine)
                before = _rolled_at(engine)
            service.roll_up(engine)
            assert _rolled_at(engine) == before
        roll_up(engine)
    assert _rolled_at(engine) > before


def test_facts_held_back_by_a_transaction_that_was_left_open_are_not_said_to_be_summed_up(engine: Engine) -> None:
    with engine.connect() as forgotten:
        with forgotten.begin():
            forgotten.exec_driver_sql("SELECT pg_current_xact_id()")
            with unit_of_work(engine) as quick:
                decide(quick, receive(quick, 10))
            service.roll_up(engine)
            assert _cases_rolled_up(engine) == 0
            assert not _claims_to_know(engine)
        roll_up(engine)
    assert _cases_rolled_up(engine) == 10
    assert _claims_to_know(engine)


def test_work_after_a_case_was_rolled_up_corrects_sum_and_squares(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        (case,) = [c for c in receive(connection, 40) if c.arm == "control"][:1]
        decide(connection, [case], seconds="10")
    roll_up(engine)
    for sequence, seconds in enumerate(("5", "7.5"), start=1):
        with unit_of_work(engine) as connection:
            add_work(connection, case, seconds, sequence=sequence)
    roll_up(engine)
    with unit_of_work(engine) as connection:
        row = connection.exec_driver_sql(
            "SELECT sum(cases), sum(human_seconds), sum(human_seconds2) FROM case_sums WHERE grain = 'month'"
        ).one()
    assert tuple(row) == (1, Decimal("22.5"), Decimal("506.25"))
    assert_rolled_up(engine)


def test_a_reversal_counts_under_the_kind_that_it_reverses(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        case = receive(connection, 1)[0]
        decide(connection, [case], tier="human", seconds="10")
        line = connection.exec_driver_sql("SELECT id, arm, kind FROM ledger_lines WHERE unit = 's'").one()
    roll_up(engine)
    with unit_of_work(engine) as connection:
        subject = Subject(case.id, case.tenant, case.automation, case.arm, "s")
        reversal = posting.Line(
            tenant_id=subject.tenant_id,
            automation=subject.automation,
            case_id=case.id,
            kind="reversal",
            grade="A",
            occurred_at=hours_ago(0),
            arm=case.arm,
            quantity=Decimal(-10),
            unit="s",
            reverses=line.id,
        )
        ledger.post(connection, [reversal])
    roll_up(engine)
    with unit_of_work(engine) as connection:
        total = connection.exec_driver_sql("SELECT sum(quantity) FROM ledger_sums WHERE kind = %(kind)s", {"kind": line.kind}).scalar_one()
        human = connection.exec_driver_sql("SELECT sum(human_seconds), sum(human_seconds2) FROM case_sums WHERE grain = 'hour'").one()
    assert (total, tuple(human)) == (0, (0, 0))
    assert_rolled_up(engine)


def test_a_long_backlog_is_rolled_up_in_steps(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "TRANSACTIONS", 3)
    for _ in range(20):
        with unit_of_work(engine) as connection:
            decide(connection, receive(connection, 2))
    for _ in range(3):
        roll_up(engine)
    assert _cases_rolled_up(engine) == 40
    assert_rolled_up(engine)


def test_two_stewards_at_once_count_every_fact_once(engine: Engine) -> None:
    stopped = Event()

    def steward() -> None:
        while not stopped.is_set():
            service.roll_up(engine)

    with ThreadPoolExecutor(2) as pool:
        stewards = [pool.submit(steward) for _ in range(2)]
        for _ in range(60):
            with unit_of_work(engine) as connection:
                decide(connection, receive(connection, 5, repeated=1))
        stopped.set()
        for running in stewards:
            running.result()
    roll_up(engine)
    assert _cases_rolled_up(engine) == 300
    assert_rolled_up(engine)


@contextmanager
def _steward(database: Database, redis_url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A real process; killed at the end, if it still lives."""
    environment = os.environ | {  # noqa: TID251  # a child inherits it
        "RECOUP_DATABASE_URL": database.app_url,
        "RECOUP_REDIS_URL": redis_url,
        "RECOUP_STEWARD_PORT": str(free_port()),
        "RECOUP_LOG_LEVEL": "error",
    }
    process = subprocess.Popen([sys.executable, "-m", "services.steward.main"], cwd=ROOT, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _await_blocked_steward(database: Database) -> None:
    with psycopg.connect(database.admin_url.replace("+psycopg", ""), autocommit=True) as connection:
        blocked = (
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'recoup-steward'"
            " AND wait_event_type = 'Lock'"
        )
        eventually(lambda: connection.execute(blocked).fetchone() == (True,))


def _runs(engine: Engine) -> int:
    with unit_of_work(engine) as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM job_runs WHERE job = 'roll_up'").scalar_one())


def _await_next_run(engine: Engine) -> None:
    before = _runs(engine)
    eventually(lambda: _runs(engine) > before)


def test_a_steward_killed_in_the_middle_of_its_transaction_has_added_nothing(
    engine: Engine, database: Database, empty_redis_url: str
) -> None:
    with unit_of_work(engine) as connection:
        decide(connection, receive(connection, 5))
    roll_up(engine)
    with unit_of_work(engine) as connection:
        decide(connection, receive(connection, 7))
    with engine.connect() as blocker, blocker.begin(), _steward(database, empty_redis_url) as process:
        # A busy machine may need longer to start a process than a transaction may lie idle.
        blocker.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        # The last statement of the transaction waits for this row; the two before it are done.
        blocker.exec_driver_sql("SELECT FROM conservation_hourly FOR UPDATE")
        _await_blocked_steward(database)
        process.kill()
        process.wait()
    assert _cases_rolled_up(engine) == 5
    roll_up(engine)
    assert _cases_rolled_up(engine) == 12
    assert_rolled_up(engine)


def _kill_stewards_in_turn(engine: Engine, database: Database, redis_url: str) -> None:
    randomness = random.Random(7)
    for last in (False, False, True):
        with ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(_steward(database, redis_url))
            _await_next_run(engine)
            if last:
                # On a busy machine the others may have died before the end of their first transaction.
                eventually(lambda: _cases_rolled_up(engine) > 0)
            time.sleep(randomness.uniform(0, 1.2))


@pytest.mark.slow
def test_stewards_killed_again_and_again_count_every_fact_once(engine: Engine, database: Database, empty_redis_url: str) -> None:
    stopped = Event()

    def write() -> int:
        written = 0
        while not stopped.is_set():
            with unit_of_work(engine) as connection:
                cases = receive(connection, 4, repeated=1)
                decide(connection, cases, seconds=f"{written % 97}.5", tier="human" if written % 3 else "rules")
                # Some transactions commit after younger ones.
                time.sleep(0.01 if written % 5 else 0.1)
            written += len(cases)
            with unit_of_work(engine) as connection:
                add_work(connection, cases[0], "3.25", sequence=1)
        return written

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write) for _ in range(2)]
        _kill_stewards_in_turn(engine, database, empty_redis_url)
        rolled_up_by_the_killed = _cases_rolled_up(engine)
        stopped.set()
        written = sum(writer.result() for writer in writers)
    roll_up(engine)
    assert 0 < rolled_up_by_the_killed <= written == _cases_rolled_up(engine)
    assert_rolled_up(engine)


def _gain(engine: Engine, arm: str) -> tuple[int, Decimal]:
    """Cases of the arm and what they add to the always-valid estimate."""
    statement = "SELECT sum(cases)::int, sum(gain) FROM case_sums WHERE grain = 'day' AND arm = %(arm)s"
    with unit_of_work(engine) as connection:
        cases, gain = connection.exec_driver_sql(statement, {"arm": arm}).one()
    return cases or 0, gain or Decimal(0)


def _control_in(engine: Engine, seconds: str) -> None:
    """People learn what manual work takes: the forecast of whatever is received later moves there."""
    with unit_of_work(engine) as connection:
        decide(connection, [case for case in receive(connection, 60) if case.arm == "control"], seconds=seconds)
    roll_up(engine)
    with unit_of_work(engine) as connection:
        decide(connection, receive(connection, 1), seconds=seconds)
    roll_up(engine)


def test_both_arms_of_a_case_expect_what_was_known_when_it_was_received(engine: Engine) -> None:
    """Tiers decide at once and people later: with what was known at the decision, the arms would expect different times."""
    share = Decimal("0.3")
    _control_in(engine, "100")
    with unit_of_work(engine) as connection:
        cases = receive(connection, 60)
    expected = []
    for arm in ("automated", "control"):
        before, gain_before = _gain(engine, arm)
        with unit_of_work(engine) as connection:
            decide(connection, [case for case in cases if case.arm == arm], seconds="1000")
        roll_up(engine)
        after, gain_after = _gain(engine, arm)
        gain = (gain_after - gain_before) / (after - before)
        expected.append(gain if arm == "automated" else 1000 - gain * share / (1 - share))
        _control_in(engine, "5000")
    assert expected[0] == pytest.approx(expected[1], abs=Decimal("0.001"))
    assert expected[0] == pytest.approx(100, abs=Decimal("0.001"))
