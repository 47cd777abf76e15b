"""Periodic jobs: each slot runs once, fixed costs are booked once, and what must hold is watched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from prometheus_client import REGISTRY

from services.steward import braking, service
from services.steward.repository import runs, upkeep, watch
from services.steward.schedule import Job
from services.steward.tasks import Runner
from shared.clock import SystemClock
from shared.db import unit_of_work
from shared.errors import InvariantBroken
from shared.ledger import repository as ledger
from tests.horizon import roll_up
from tests.integration.facts import add_tenant, decide, engine_of, hours_ago, receive
from tests.servers import ROOT, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tests.conftest import Database

MINUTE = timedelta(minutes=1)
SLOT = datetime(2026, 1, 1, 12, tzinfo=UTC)
ONE_RECEIVED_TOO_MANY = """
    INSERT INTO intake_batches (tenant_id, automation, hour, received, duplicate, rejected)
    VALUES ('acme', 'claims', date_trunc('hour', now()), 1, 0, 0)"""
RANGES_WITH_A_HOLE = """
    INSERT INTO consumed_ranges (topic, partition, first_offset, last_offset, new, duplicate, poison)
    VALUES ('t', 0, 0, 9, 10, 0, 0), ('t', 0, 5, 12, 3, 5, 0), ('t', 1, 7, 8, 2, 0, 0), ('t', 0, 14, 20, 7, 0, 0)"""


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    with engine_of(database) as engine:
        with unit_of_work(engine) as connection:
            add_tenant(connection)
        yield engine


def rows(engine: Engine, statement: str) -> list[tuple[object, ...]]:
    with unit_of_work(engine) as connection:
        return [tuple(row) for row in connection.exec_driver_sql(statement)]


def test_a_slot_is_run_by_one_of_many_stewards(engine: Engine) -> None:
    ran: list[str] = []

    def run() -> int:
        ran.append("ran")
        return len(ran)

    job = Job("count", MINUTE, run)
    stewards = [Runner(engine, SystemClock(), f"steward-{n}", []) for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(lambda steward: steward.run_slot(job, SLOT), stewards))
    assert sorted(won) == [False, False, False, True]
    assert ran == ["ran"]
    assert rows(engine, "SELECT job, touched, error, finished_at IS NOT NULL FROM job_runs") == [("count", 1, None, True)]


def test_a_job_that_only_reads_runs_everywhere_and_leaves_no_trace(engine: Engine) -> None:
    job = Job("look", MINUTE, lambda: 0, everywhere=True)
    steward = Runner(engine, SystemClock(), "steward", [])
    assert [steward.run_slot(job, SLOT) for _ in range(2)] == [True, True]
    assert rows(engine, "SELECT * FROM job_runs") == []


def test_a_failed_job_is_noted_and_does_not_end_the_steward(engine: Engine) -> None:
    def fail() -> int:
        raise InvariantBroken("something is wrong")

    assert Runner(engine, SystemClock(), "steward", []).run_slot(Job("fail", MINUTE, fail), SLOT) is False
    assert rows(engine, "SELECT job, touched, error FROM job_runs") == [("fail", None, "InvariantBroken")]


def test_a_job_that_never_succeeds_is_late_from_the_start_of_its_steward(engine: Engine) -> None:
    def fail() -> int:
        raise ValueError

    steward = Runner(engine, SystemClock(), "steward", [Job("never", MINUTE, fail, everywhere=True)])
    steward.start()
    steward.stop()
    labels = {"name": "never"}
    assert REGISTRY.get_sample_value("recoup_job_period_seconds", labels) == 60
    began = REGISTRY.get_sample_value("recoup_job_last_success_timestamp_seconds", labels)
    assert began == pytest.approx(SystemClock().now().timestamp(), abs=30)


def test_the_diary_is_pruned_but_for_the_last_run_of_each_job(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        for hours in (1, 5, 6):
            runs.claim(connection, "often", hours_ago(hours), "steward")
        runs.claim(connection, "seldom", hours_ago(40), "steward")
    assert service.prune_runs(engine, timedelta(hours=2)) == 2
    assert rows(engine, "SELECT job FROM job_runs ORDER BY job") == [("often",), ("seldom",)]


def test_fixed_costs_are_booked_once_for_every_full_hour(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql("UPDATE automation_settings SET platform_monthly = 720, priced_at = now() - interval '5 hours'")
    with ThreadPoolExecutor(3) as pool:
        booked = sum(pool.map(lambda _: service.book_platform_costs(engine), range(3)))
    assert booked == 5
    assert service.book_platform_costs(engine) == 0
    lines = rows(engine, "SELECT count(*), count(DISTINCT occurred_at), min(currency), max(occurred_at) < now() FROM ledger_lines")
    assert lines == [(5, 5, "EUR", True)]


def test_the_largest_price_that_the_api_takes_can_be_booked(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        price = "UPDATE automation_settings SET platform_monthly = %(most)s, priced_at = now() - interval '5 hours'"
        connection.exec_driver_sql(price, {"most": Decimal("999999999999.9999")})
    assert service.book_platform_costs(engine) == 5


def test_hours_missed_by_an_outage_are_booked_afterwards(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql("UPDATE automation_settings SET platform_monthly = 720, priced_at = now() - interval '10 hours'")
        (first, *_) = upkeep.unbooked_hours(connection)
        ledger.post_platform(connection, [service.platform_line(first)])
    assert service.book_platform_costs(engine) == 9


def test_the_hours_of_a_month_add_up_to_its_price() -> None:
    for month, hours in ((2, 672), (4, 720), (1, 744)):
        assert service.hourly_share(Decimal(100), 2026, month) * hours == pytest.approx(Decimal(100), abs=Decimal("1e-20"))


def test_an_automation_without_a_fixed_cost_costs_nothing(engine: Engine) -> None:
    assert service.book_platform_costs(engine) == 0


def test_partitions_are_made_ahead_of_time_and_once(engine: Engine) -> None:
    # The migration made this month and the three after it.
    assert service.ensure_partitions(engine) == 0
    with unit_of_work(engine) as connection:
        assert upkeep.ensure_partitions(connection, 5) == 2
        assert upkeep.ensure_partitions(connection, 5) == 0


def test_a_healthy_line_breaks_no_invariant(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        decide(connection, receive(connection, 20, repeated=2)[:10])
    assert service.check_invariants(engine, timedelta(minutes=15)) == 0
    roll_up(engine)
    assert service.check_invariants(engine, timedelta(minutes=15)) == 0


@pytest.mark.parametrize(
    ("damage", "invariants"),
    [
        ("UPDATE cases SET state = 'decided' WHERE state = 'pending'", {"decided_without_decision", "conservation_difference"}),
        ("UPDATE cases SET state = 'review' WHERE state = 'decided'", {"decision_without_case", "conservation_difference"}),
        ("UPDATE outbox SET kind = 'other'", {"decision_not_sent_once"}),
        (ONE_RECEIVED_TOO_MANY, {"conservation_difference"}),
        ("UPDATE cases SET received_at = received_at - interval '20 minutes' WHERE state = 'pending'", {"pending_too_long"}),
        (RANGES_WITH_A_HOLE, {"hole_in_consumed_ranges"}),
        ("UPDATE rollup_horizons SET horizon = '4294967296' WHERE name = 'seals'", {"horizon_ahead_of_transactions"}),
    ],
)
def test_damage_is_found_and_named(engine: Engine, damage: str, invariants: set[str]) -> None:
    with unit_of_work(engine) as connection:
        # Late in an hour, even if it is still to come, so that a case that is moved by minutes stays in its hour's balance.
        cases = receive(connection, 10, at=hours_ago(0).replace(minute=45))
        decide(connection, cases[:5])
        connection.exec_driver_sql(damage)
    with pytest.raises(InvariantBroken) as broken:
        service.check_invariants(engine, timedelta(hours=-1 if "pending_too_long" in invariants else 2))
    assert set(broken.value.context) == invariants
    (name, *_) = invariants
    assert REGISTRY.get_sample_value("recoup_invariants_broken", {"invariant": name}) == broken.value.context[name]


def test_overlapping_and_unordered_ranges_are_no_holes(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql(
            "INSERT INTO consumed_ranges (topic, partition, first_offset, last_offset, new, duplicate, poison)"
            " VALUES ('t', 0, 10, 19, 10, 0, 0), ('t', 0, 0, 9, 10, 0, 0), ('t', 0, 5, 12, 0, 8, 0), ('t', 0, 20, 20, 1, 0, 0)"
        )
        assert watch.holes_in_consumed_ranges(connection) == 0


def test_paused_automations_may_wait(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        receive(connection, 3, at=hours_ago(1))
        assert watch.pending_too_long(connection, timedelta(minutes=15)) == 3
        connection.exec_driver_sql("UPDATE automation_settings SET paused = true")
        assert watch.pending_too_long(connection, timedelta(minutes=15)) == 0


def test_the_ages_of_what_waits_are_measured(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        receive(connection, 2, at=hours_ago(1))
        decide(connection, receive(connection, 1))
        connection.exec_driver_sql("UPDATE outbox SET created_at = now() - interval '30 seconds'")
        found = watch.waiting(connection)
    assert found.open_cases == {"pending": 2}
    assert found.pending_age == pytest.approx(3600, abs=60)
    assert found.outbox_age == pytest.approx(30, abs=20)
    assert (found.delivery_age, found.review_age, found.failing_endpoints) == (0, 0, 0)


def test_cases_of_a_paused_automation_wait_without_an_age(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        receive(connection, 2, at=hours_ago(1))
        connection.exec_driver_sql("UPDATE automation_settings SET paused = true")
        found = watch.waiting(connection)
    assert (found.open_cases, found.pending_age) == ({"pending": 2}, 0)


PLANNED = "UPDATE outbox SET created_at = now() - interval '10 minutes', planned_at = now()"
DELIVERY = """
    WITH hook AS (INSERT INTO endpoints (id, tenant_id, url, failing_since)
        VALUES (gen_random_uuid(), 'acme', 'https://erp.example/hook', now()) RETURNING id)
    INSERT INTO deliveries (id, tenant_id, outbox_id, endpoint_id, state, next_attempt_at, created_at)
    SELECT gen_random_uuid(), 'acme', o.id, hook.id, %(state)s, now() + interval '5 hours', now() - interval '10 minutes'
    FROM outbox o, hook"""


@pytest.mark.parametrize(("state", "age"), [("pending", 600), ("sending", 600), ("delivered", 0), ("dead", 0)])
def test_a_message_that_an_endpoint_does_not_take_grows_old_although_its_deliveries_are_planned(
    engine: Engine, state: str, age: float
) -> None:
    with unit_of_work(engine) as connection:
        decide(connection, receive(connection, 1))
        connection.exec_driver_sql(PLANNED + ", published_at = now()")
        connection.exec_driver_sql(DELIVERY, {"state": state})
        found = watch.waiting(connection)
    assert (found.outbox_age, found.failing_endpoints) == (0, 1)
    assert found.delivery_age == pytest.approx(age, abs=1)


def test_a_message_that_the_decisions_topic_does_not_take_grows_old(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        decide(connection, receive(connection, 1))
        connection.exec_driver_sql(PLANNED)
        assert watch.waiting(connection).outbox_age == pytest.approx(600, abs=1)
        connection.exec_driver_sql("UPDATE outbox SET published_at = now()")
        assert watch.waiting(connection).outbox_age == 0


def test_a_review_that_nobody_answers_grows_old(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        (case,) = receive(connection, 1)
        connection.exec_driver_sql(
            "INSERT INTO reviews (id, tenant_id, case_id, automation, kind, reasons, created_at)"
            " VALUES (gen_random_uuid(), 'acme', %(case)s, 'claims', 'exception', '[]', now() - interval '2 days')",
            {"case": case.id},
        )
        assert watch.waiting(connection).review_age == pytest.approx(2 * 86400, abs=1)
        connection.exec_driver_sql("UPDATE reviews SET state = 'cancelled'")
        assert watch.waiting(connection).review_age == 0


def test_every_horizon_tells_how_old_the_facts_are_that_it_has_not_passed(engine: Engine) -> None:
    with unit_of_work(engine) as connection:
        decide(connection, receive(connection, 3))
    time.sleep(1)
    with unit_of_work(engine) as connection:
        assert all(seconds > 0.9 for seconds in watch.waiting(connection).behind.values())
    roll_up(engine)
    service.seal_ledger(engine)
    braking.judge_audits(engine)
    with unit_of_work(engine) as connection:
        assert watch.waiting(connection).behind == {"rollups": 0, "evidence": 0, "audits": 0, "seals": 0}


def _environment(database: Database, redis_url: str, port: int) -> dict[str, str]:
    return dict(os.environ) | {  # noqa: TID251  # a child inherits it
        "RECOUP_DATABASE_URL": database.app_url,
        "RECOUP_REDIS_URL": redis_url,
        "RECOUP_STEWARD_PORT": str(port),
    }


def test_the_process_runs_its_jobs_answers_and_ends_on_sigterm(engine: Engine, database: Database, empty_redis_url: str) -> None:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "services.steward.main"], cwd=ROOT, env=_environment(database, empty_redis_url, port))
    wanted = {("reap",), ("roll_up",), ("ensure_partitions",), ("book_platform_costs",), ("prune_runs",), ("check_in",)}
    try:
        for _ in range(900):
            if wanted <= set(rows(engine, "SELECT DISTINCT job FROM job_runs WHERE error IS NULL AND finished_at IS NOT NULL")):
                break
            time.sleep(0.1)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            assert json.load(answer) == {"database": True, "jobs": True}
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            assert b"recoup_job_last_success" in answer.read()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    assert wanted <= set(rows(engine, "SELECT DISTINCT job FROM job_runs WHERE error IS NULL"))


def test_check_validates_the_settings_and_names_what_is_wrong(database: Database, redis_url: str) -> None:
    environment = _environment(database, redis_url, 9104)
    command = [sys.executable, "-m", "services.steward.main", "--check"]
    assert subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True).returncode == 0
    del environment["RECOUP_DATABASE_URL"]
    refused = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "RECOUP_DATABASE_URL" in refused.stderr
