"""Whose a case is: leases, the fence, and workers that get in each other's way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from pydantic import BaseModel

from services.worker.cascade import Cascade
from services.worker.repository import ClaimRules, claim
from services.worker.rules import RulesTier
from shared.automations.contract import Automation, Context, Outcome, Verdict
from shared.db import unit_of_work
from shared.errors import Retryable
from tests.intake_data import add_tenant, engine_of, rows
from tests.worker_data import INJURY, claim_cases, decider, record, rules_only, synthetic_cases, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import LiteralString
    from uuid import UUID

    from sqlalchemy import Engine

    from services.worker.case import Claimed
    from tests.conftest import Database

RULES = ClaimRules("claims", lease=timedelta(seconds=40), attempt_cap=5)


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    add_tenant(database, control_shares={"claims": "0", "probe": "0"})
    engine = engine_of(database)
    yield engine
    engine.dispose()


def _claim(engine: Engine, ids: list[UUID], *, fresh: bool = True, rules: ClaimRules = RULES) -> list[Claimed]:
    with unit_of_work(engine) as connection:
        return claim(connection, ids, rules, fresh=fresh)


def _execute(database: Database, statement: LiteralString) -> None:
    with psycopg.connect(database.admin_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(statement)


class Probe(BaseModel):
    name: str


def _probing(action: Callable[[str], None]) -> Automation:
    """Calls ``action`` from inside the decision, where no transaction is open."""

    def rules(data: Probe, _context: Context) -> Verdict:
        action(data.name)
        return Verdict("fine")

    return Automation(name="probe", event_type="test.probe", data_model=Probe, outcomes={"fine": Outcome()}, rules=rules, tiers=("rules",))


def test_a_second_claim_of_the_same_case_gets_nothing(engine: Engine) -> None:
    ids = claim_cases(engine, INJURY, INJURY)
    assert [c.attempt for c in _claim(engine, ids)] == [1, 1]
    assert _claim(engine, ids) == []
    assert _claim(engine, ids, fresh=False) == []


def test_an_expired_lease_may_be_claimed_again_and_counts_as_the_next_attempt(engine: Engine, database: Database) -> None:
    ids = claim_cases(engine, INJURY)
    _claim(engine, ids)
    _execute(database, "UPDATE cases SET lease_until = now() - interval '1 second'")
    assert _claim(engine, ids) == []
    assert [c.attempt for c in _claim(engine, ids, fresh=False)] == [2]


def test_a_case_at_the_attempt_cap_is_not_claimed(engine: Engine, database: Database) -> None:
    ids = claim_cases(engine, INJURY)
    _execute(database, "UPDATE cases SET attempt = 5")
    assert _claim(engine, ids, fresh=False) == []


def test_a_claim_skips_what_another_transaction_holds_instead_of_waiting(engine: Engine) -> None:
    ids = claim_cases(engine, INJURY, INJURY, INJURY)
    with unit_of_work(engine) as holding:
        assert len(claim(holding, ids[:1], RULES, fresh=True)) == 1
        assert {c.case_id for c in _claim(engine, ids)} == set(ids[1:])


def test_workers_with_the_same_orders_share_them_without_a_deadlock_and_decide_each_case_once(engine: Engine, database: Database) -> None:
    ids = synthetic_cases(engine, "claims", 200)
    workers = [decider(engine) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(worker.decide, "claims", ids[::step]) for worker, step in zip(workers, (1, -1, 1, -1), strict=True)]:
            future.result()
    assert rows(database, "SELECT max(attempt), count(*) FILTER (WHERE state IN ('decided', 'review')) FROM cases") == [(1, 200)]
    assert rows(database, "SELECT count(*), count(DISTINCT case_id) FROM ledger_lines") == [(200, 200)]


def test_of_two_workers_on_one_case_only_the_one_with_the_newest_claim_writes(engine: Engine, database: Database) -> None:
    """The first is slow: while it decides, its lease runs out and the second settles the case."""
    second = decider(engine, rules_only([_probing(lambda _name: None)]))
    taken_over: list[bool] = []

    def overtaken(_name: str) -> None:
        _execute(database, "UPDATE cases SET lease_until = now() - interval '1 second'")
        second.decide("probe", ids)
        taken_over.append(True)

    task = _probing(overtaken)
    ids = waiting(engine, [record("1", {"name": "slow"}, task)])
    decider(engine, {"probe": Cascade(task, [RulesTier(task)])}).decide("probe", ids)
    assert taken_over
    assert rows(database, "SELECT state, attempt FROM cases") == [("decided", 2)]
    assert rows(database, "SELECT attempt FROM inferences") == [(2,)]
    assert rows(database, "SELECT (SELECT count(*) FROM ledger_lines), (SELECT count(*) FROM outbox)") == [(1, 1)]


def test_a_slow_failure_does_not_give_back_what_somebody_else_has_settled(engine: Engine, database: Database) -> None:
    second = decider(engine, rules_only([_probing(lambda _name: None)]))

    def overtaken(_name: str) -> None:
        _execute(database, "UPDATE cases SET lease_until = now() - interval '1 second' WHERE state = 'processing'")
        second.decide("probe", ids)
        raise ValueError

    task = _probing(overtaken)
    ids = waiting(engine, [record("1", {"name": "slow"}, task)])
    decider(engine, rules_only([task])).decide("probe", ids)
    assert rows(database, "SELECT state, last_error FROM cases") == [("decided", None)]


def test_effects_that_cannot_be_committed_now_leave_the_case_for_after_its_lease(engine: Engine, database: Database) -> None:
    blocker = engine.connect()

    def block(_name: str) -> None:
        blocker.exec_driver_sql("SELECT FROM cases FOR UPDATE")

    task = _probing(block)
    ids = waiting(engine, [record("1", {"name": "n"}, task)])
    worker = decider(engine, rules_only([task]))
    with pytest.raises(Retryable):
        worker.decide("probe", ids)
    blocker.close()
    assert rows(database, "SELECT state, attempt FROM cases") == [("processing", 1)]
    assert rows(database, "SELECT count(*) FROM ledger_lines") == [(0,)]
    _execute(database, "UPDATE cases SET lease_until = now() - interval '1 second'")
    decider(engine, rules_only([_probing(lambda _name: None)])).decide("probe", ids)
    assert rows(database, "SELECT state, attempt FROM cases") == [("decided", 2)]


def test_connections_that_died_while_tiers_decided_are_replaced(engine: Engine, database: Database) -> None:
    def cut(_name: str) -> None:
        _execute(
            database,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )

    task = _probing(cut)
    decider(engine, rules_only([task])).decide("probe", waiting(engine, [record("1", {"name": "n"}, task)]))
    assert rows(database, "SELECT state, attempt FROM cases") == [("decided", 1)]


def test_no_transaction_is_open_while_tiers_decide(engine: Engine, database: Database) -> None:
    open_now: list[object] = []

    def look(_name: str) -> None:
        open_now.extend(
            rows(
                database,
                "SELECT state FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL",
            )
        )

    task = _probing(look)
    decider(engine, rules_only([task])).decide("probe", waiting(engine, [record("1", {"name": "n"}, task)]))
    assert open_now == []


def test_a_case_that_was_tried_before_is_claimed_only_when_its_turn_comes(engine: Engine, database: Database) -> None:
    """Whatever ends the process in one of them must not cost the others an attempt."""
    seen: list[tuple[str, list[tuple[object, ...]]]] = []

    def look(name: str) -> None:
        seen.append((name, rows(database, "SELECT count(*) FROM cases WHERE state = 'processing'")))

    task = _probing(look)
    ids = waiting(engine, [record(name, {"name": name}, task) for name in ("a", "b", "c")])
    _execute(database, "UPDATE cases SET attempt = CASE event_id WHEN 'a' THEN 3 ELSE 1 END")
    decider(engine, rules_only([task])).decide("probe", ids)
    assert seen[-1] == ("a", [(1,)])
    assert [count for _, count in seen] == [[(1,)]] * 3
    assert rows(database, "SELECT DISTINCT state FROM cases") == [("decided",)]
