"""Killed at any statement, a replay of poison records and the application of late outcomes leave all of one record's effects or none."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from services.dispatcher.records import Raw
from services.dispatcher.service import Intake
from shared.clock import SystemClock
from shared.db import unit_of_work
from shared.events.envelope import Event
from shared.events.outcome import OUTCOME_TYPE
from shared.intake.record import Incoming
from shared.intake.repository import store
from shared.ledger import posting
from shared.ledger import repository as ledger
from shared.money import Money, currency
from shared.settings import TIME_AHEAD
from tests.dispatcher_world import claim
from tests.intake_data import NOON, rows
from tests.integration.facts import Subject, add_tenant, decide, engine_of, receive
from tests.killed_statements import killed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tests.conftest import Database

RECORDS = 2
# Fewer would mean that nobody was killed in the middle of one.
STATEMENTS = 10


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    with engine_of(database) as engine:
        yield engine


def test_a_replay_of_poison_records_killed_anywhere_loses_and_doubles_nothing(engine: Engine, database: Database) -> None:
    now = SystemClock().now()
    raws = [Raw("events", 0, n, int(now.timestamp() * 1000), claim(str(n)), [("tenant", b"acme")]) for n in range(RECORDS)]
    Intake(engine, SystemClock(), TIME_AHEAD).put_away(raws)
    with unit_of_work(engine) as connection:
        add_tenant(connection)
    done = [_replayed(database) for _ in killed(database, "replay_poison")]
    assert len(done) > STATEMENTS
    assert set(done) >= set(range(RECORDS))
    assert _replayed(database) == RECORDS


def _replayed(database: Database) -> int:
    """How many records; of each all effects are there, or none."""
    (found,) = rows(
        database,
        "SELECT (SELECT count(*) FROM poison_records WHERE resolved_at IS NOT NULL), (SELECT count(*) FROM cases),"
        " (SELECT count(*) FROM payloads), (SELECT coalesce(sum(received - duplicate - rejected), 0)::int FROM intake_batches),"
        " (SELECT count(*) FROM audit_log WHERE action = 'dead_letter.replayed')",
    )
    (resolved,) = set(found)
    assert isinstance(resolved, int)
    return resolved


def test_late_outcomes_whose_application_is_killed_anywhere_are_applied_once(engine: Engine, database: Database) -> None:
    with unit_of_work(engine) as connection:
        add_tenant(connection, control_share="0")
        cases = receive(connection, RECORDS)
        decide(connection, cases)
        saved = Money(Decimal(100), currency("EUR"))
        subjects = [Subject(case.id, case.tenant, case.automation, case.arm, "s") for case in cases]
        ledger.post(connection, [posting.for_cash(subject, saved, at=NOON) for subject in subjects])
        store(connection, [_refund(str(case.id)) for case in cases])
        connection.exec_driver_sql(
            "UPDATE case_outcomes SET state = 'unmatched', settled_at = now() WHERE named_case = %(case)s", {"case": cases[0].id}
        )
    done = [_applied(database) for _ in killed(database, "apply_outcomes")]
    assert len(done) > STATEMENTS
    assert set(done) >= set(range(RECORDS))
    assert _applied(database) == RECORDS


def _refund(case: str) -> Incoming:
    data = {"case_id": case, "result": "refunded", "loss": {"amount": "30", "currency": "EUR"}}
    body = Event(id=f"o-{case}", source="/erp", type=OUTCOME_TYPE, time=NOON, data=data).canonical()
    return Incoming(
        tenant="acme", source="/erp", event_id=f"o-{case}", event_type=OUTCOME_TYPE, automation="outcomes", occurred_at=NOON,
        received_at=NOON, body=body, body_sha256=body[:32],
    )  # fmt: skip


def _applied(database: Database) -> int:
    """How many outcomes; of each all effects are there, or none: the cash taken back, the error booked, a message, and their number."""
    found = rows(
        database,
        "SELECT o.state, o.lines, (SELECT count(*) FROM ledger_lines l WHERE l.case_id = o.named_case AND l.reverses IS NOT NULL),"
        " (SELECT sum(amount)::int FROM ledger_lines l WHERE l.case_id = o.named_case AND l.kind = 'error'),"
        " (SELECT count(*) FROM outbox WHERE kind = 'savings.restated' AND subject = o.id::text) FROM case_outcomes o",
    )
    assert set(found) <= {("unmatched", None, 0, None, 0), ("waiting", None, 0, None, 0), ("applied", 2, 1, 30, 1)}, found
    return sum(row[0] == "applied" for row in found)
