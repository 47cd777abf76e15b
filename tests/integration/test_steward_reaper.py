"""Cases that nobody works on come back to the workers, and in the end to a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from services.steward.repository import reaping
from services.steward.service import Reaper
from services.steward.settings import StewardSettings
from shared.casework.repository import open_reviews
from shared.casework.values import NewReview, ReviewKind
from shared.db import unit_of_work
from shared.settings import RedisSettings
from shared.taskqueue.app import celery_app
from shared.taskqueue.orders import Orders
from tests.database_sessions import connected
from tests.integration.facts import add_tenant, engine_of, hours_ago, receive
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

    from tests.conftest import Database
    from tests.integration.facts import Case


@dataclass
class Stage:
    engine: Engine
    orders: Orders
    reaper: Reaper

    def case(self, *, state: str = "pending", attempt: int = 0, age: str = "1 minute", lease: str = "1 minute") -> Case:
        """One case, inserted ``age`` ago; a lease that ran out ``lease`` ago where it is being processed."""
        with unit_of_work(self.engine) as connection:
            (case,) = receive(connection, 1)
            connection.exec_driver_sql(
                "UPDATE cases SET state = %(state)s, attempt = %(attempt)s, next_dispatch_at = now() - %(age)s::interval,"
                " lease_until = CASE WHEN %(state)s = 'processing' THEN now() - %(lease)s::interval END WHERE id = %(id)s",
                {"state": state, "attempt": attempt, "age": age, "lease": lease, "id": case.id},
            )
        return case

    def column(self, case: Case, expression: str) -> object:
        with unit_of_work(self.engine) as connection:
            return connection.exec_driver_sql(f"SELECT {expression} FROM cases WHERE id = %(id)s", {"id": case.id}).scalar_one()

    def depth(self) -> int:
        depth = self.orders.depth()
        assert depth is not None
        return depth


@pytest.fixture
def stage(database: Database, empty_redis_url: str) -> Iterator[Stage]:
    celery = celery_app(RedisSettings(url=SecretStr(empty_redis_url)))
    orders = Orders(celery)
    with engine_of(database) as engine:
        with unit_of_work(engine) as connection:
            add_tenant(connection)
        yield Stage(engine, orders, Reaper(engine, orders, Orders(celery, batch=1), StewardSettings(queue_limit=3)))
    celery.close()


def test_a_forgotten_case_is_sent_again_and_then_left_alone_for_its_backoff(stage: Stage) -> None:
    case = stage.case()
    assert stage.reaper.run() == 1
    assert stage.reaper.run() == 0
    assert stage.depth() == 1
    assert stage.column(case, "dispatches") == 1
    assert stage.column(case, "next_dispatch_at - now() BETWEEN interval '8 seconds' AND interval '12.5 seconds'") is True


def test_the_backoff_doubles_and_has_a_cap(stage: Stage) -> None:
    case = stage.case()
    with unit_of_work(stage.engine) as connection:
        connection.exec_driver_sql("UPDATE cases SET dispatches = 2")
    stage.reaper.run()
    assert stage.column(case, "next_dispatch_at - now() BETWEEN interval '38 seconds' AND interval '50 seconds'") is True
    with unit_of_work(stage.engine) as connection:
        connection.exec_driver_sql("UPDATE cases SET dispatches = 32000, next_dispatch_at = now()")
    stage.reaper.run()
    assert stage.column(case, "next_dispatch_at - now() BETWEEN interval '298 seconds' AND interval '375 seconds'") is True


def test_a_fresh_case_is_left_to_whoever_has_just_enqueued_it(stage: Stage) -> None:
    stage.case(age="2 seconds")
    assert stage.reaper.run() == 0
    assert stage.depth() == 0


def test_fresh_cases_share_an_order_and_failed_ones_go_alone(stage: Stage) -> None:
    for attempt in (0, 0, 0, 1, 2):
        stage.case(attempt=attempt)
    assert stage.reaper.run() == 5
    assert stage.depth() == 3


def test_a_deep_queue_is_not_made_deeper(stage: Stage) -> None:
    for _ in range(4):
        stage.case(attempt=1)
    assert stage.reaper.run() == 4
    case = stage.case()
    assert stage.reaper.run() == 0
    assert stage.depth() == 4
    assert stage.column(case, "dispatches") == 0


def test_without_redis_nothing_is_marked_as_sent(stage: Stage) -> None:
    case = stage.case()
    celery = celery_app(RedisSettings(url=SecretStr(f"redis://127.0.0.1:{free_port()}/0")))
    away = Orders(celery)
    assert Reaper(stage.engine, away, away, StewardSettings()).run() == 0
    assert stage.column(case, "dispatches") == 0
    celery.close()


def test_a_paused_automation_is_not_dispatched(stage: Stage) -> None:
    stage.case()
    with unit_of_work(stage.engine) as connection:
        connection.exec_driver_sql("UPDATE automation_settings SET paused = true")
    assert stage.reaper.run() == 0
    with unit_of_work(stage.engine) as connection:
        connection.exec_driver_sql("UPDATE automation_settings SET paused = false")
    assert stage.reaper.run() == 1


def test_what_a_paused_automation_keeps_waiting_is_passed_over_unseen(stage: Stage, database: Database) -> None:
    with unit_of_work(stage.engine) as connection:
        connection.exec_driver_sql("INSERT INTO automation_settings (tenant_id, automation, paused) VALUES ('acme', 'paused', true)")
        receive(connection, 3000, automation="paused", at=hours_ago(2))
        connection.exec_driver_sql("UPDATE cases SET next_dispatch_at = now() - interval '2 hours'")
    # One automation before and one after it, neither of them with settings of its own.
    with unit_of_work(stage.engine) as connection:
        due = [case.id for name in ("orders", "zoning") for case in receive(connection, 2, automation=name)]
        connection.exec_driver_sql("UPDATE cases SET next_dispatch_at = now() - interval '1 hour' WHERE automation <> 'paused'")
    with connected(database.admin_url) as admin:
        admin.execute("ANALYZE cases")
    backoff = reaping.Backoff(timedelta(seconds=10), timedelta(minutes=5))
    with unit_of_work(stage.engine) as connection:
        before = _rows_read(connection)
        taken = reaping.take_due(connection, backoff, attempts=range(1), grace=timedelta(0), limit=5000)
        assert _rows_read(connection) - before < 50
    assert {case.case_id for case in taken} == set(due)


def _rows_read(connection: Connection) -> int:
    """Of cases, by this connection, so far."""
    read = "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relname = 'cases'"
    return int(connection.exec_driver_sql(read).scalar_one())


def test_the_oldest_of_all_automations_are_taken_first(stage: Stage) -> None:
    with unit_of_work(stage.engine) as connection:
        cases = [case for name in ("orders", "claims", "zoning") for case in receive(connection, 2, automation=name)]
        for minutes, case in enumerate(reversed(cases)):
            connection.exec_driver_sql(
                "UPDATE cases SET next_dispatch_at = now() - %(age)s::interval WHERE id = %(id)s",
                {"age": timedelta(minutes=60 - minutes), "id": case.id},
            )
    backoff = reaping.Backoff(timedelta(seconds=10), timedelta(minutes=5))
    with unit_of_work(stage.engine) as connection:
        taken = reaping.take_due(connection, backoff, attempts=range(1), grace=timedelta(0), limit=3)
    assert {case.case_id for case in taken} == {case.id for case in cases[3:]}


def test_a_case_whose_lease_expired_waits_again_with_a_backoff(stage: Stage) -> None:
    expired, held = stage.case(state="processing", attempt=2), stage.case(state="processing", attempt=1, lease="-1 minute")
    stage.reaper.run()
    assert stage.column(expired, "state") == "pending"
    assert stage.column(expired, "next_dispatch_at > now() + interval '15 seconds' AND lease_until IS NULL") is True
    assert stage.column(held, "state") == "processing"
    assert stage.depth() == 0


@pytest.mark.parametrize("state", ["processing", "pending"])
def test_a_case_at_the_attempt_cap_is_quarantined_and_a_person_is_asked_once(stage: Stage, state: str) -> None:
    case = stage.case(state=state, attempt=5)
    stage.reaper.run()
    stage.reaper.run()
    assert stage.column(case, "state") == "quarantined"
    with unit_of_work(stage.engine) as connection:
        review = connection.exec_driver_sql("SELECT case_id, kind, state, reasons FROM reviews").one()
    kind, reasons = ("control", []) if case.arm == "control" else ("exception", ["quarantined"])
    assert tuple(review) == (case.id, kind, "open", reasons)
    assert stage.depth() == 0


def test_two_reapers_never_send_one_case_twice(stage: Stage) -> None:
    stage.case()
    backoff = reaping.Backoff(timedelta(seconds=10), timedelta(minutes=5))
    with stage.engine.connect() as first, stage.engine.connect() as second, first.begin(), second.begin():
        taken = [reaping.take_due(c, backoff, attempts=range(1), grace=timedelta(0), limit=10) for c in (first, second)]
    assert [len(part) for part in taken] == [1, 0]


def test_workers_that_are_away_for_long_find_a_bounded_queue(stage: Stage) -> None:
    for _ in range(30):
        stage.case(attempt=1)
    # Twenty rounds in which every backoff is over: the brake alone must hold.
    for _ in range(20):
        stage.reaper.run()
        with unit_of_work(stage.engine) as connection:
            connection.exec_driver_sql("UPDATE cases SET next_dispatch_at = now() - interval '1 minute'")
    assert stage.depth() <= 2 * 30


def test_an_expired_claim_is_given_back_with_the_time_that_was_worked(stage: Stage) -> None:
    case = stage.case(state="review")
    with unit_of_work(stage.engine) as connection:
        open_reviews(connection, [NewReview(case_id=case.id, tenant_id=case.tenant, automation=case.automation, kind=ReviewKind.EXCEPTION)])
        connection.exec_driver_sql(
            "UPDATE reviews SET state = 'claimed', claimed_by = 'ann', claimed_at = now() - interval '10 minutes',"
            " claim_expires_at = now() - interval '5 minutes', earlier_seconds = 7, active_seconds = 60"
        )
    stage.reaper.run()
    with unit_of_work(stage.engine) as connection:
        review = connection.exec_driver_sql("SELECT state, claimed_by, earlier_seconds, active_seconds FROM reviews").one()
    assert tuple(review) == ("open", None, 67, 0)


def test_the_search_for_waiting_cases_uses_its_index_however_many_are_decided(stage: Stage) -> None:
    with unit_of_work(stage.engine) as connection:
        receive(connection, 3000, at=hours_ago(1))
        connection.exec_driver_sql("UPDATE cases SET state = 'decided'")
    stage.case()
    with unit_of_work(stage.engine) as connection:
        rows = connection.exec_driver_sql(
            "EXPLAIN SELECT id FROM cases WHERE state = 'pending' AND attempt BETWEEN 0 AND 0 AND next_dispatch_at <= now()"
            " ORDER BY attempt, next_dispatch_at LIMIT 100"
        )
        plan = "\n".join(rows.scalars())
    assert "ix_cases_dispatchable" in plan
