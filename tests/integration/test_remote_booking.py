"""What calls of a remote model cost is in the ledger: every call once, whatever becomes of the run that made it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from services.steward.service import book_remote_calls
from services.worker.cascade import Cascade
from services.worker.remote.build import build_tier
from services.worker.remote.repository import StoredSpending
from services.worker.remote.tier import RemoteTier
from services.worker.rules import RulesTier
from shared.automations.contract import Attributes, Verdict
from shared.clock import SystemClock
from tests.intake_data import add_tenant, engine_of, rows
from tests.model_servers import LABELS, WELL, Manner, ModelServer
from tests.remote_world import NOTES, Note, remote_model
from tests.worker_data import decider, record, waiting

if TYPE_CHECKING:
    from typing import LiteralString

    from sqlalchemy import Engine

    from tests.conftest import Database

LINES = (
    "SELECT sequence, quantity, unit, amount, currency, grade, arm, stratum FROM ledger_lines WHERE kind = 'remote_model' ORDER BY sequence"
)
Make = Callable[..., RemoteTier]
MORTGAGE = "The mortgage company lost my mortgage payment."


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    add_tenant(database, control_shares={"notes": "0"})
    engine = engine_of(database)
    yield engine
    engine.dispose()


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


def _conclude(note: Note, label: str, confidence: float) -> Verdict:
    # PostgreSQL stores no NUL: a decision that cannot be written.
    attributes: Attributes = {"route": "\0"} if "unwritable" in note.text else {}
    return Verdict(label, confidence, (f"model:{label}",), attributes, label=label)


TASK = replace(NOTES, conclude=_conclude, rules=lambda _data, _context: None)


@pytest.fixture
def make(engine: Engine, server: ModelServer) -> Iterator[Make]:
    made = []

    def tier(*, certified: bool = False, **changes: Any) -> RemoteTier:
        made.append(build_tier(TASK, remote_model(server, **changes), StoredSpending(engine), SystemClock()))
        if not certified:
            return made[-1]
        certificate = {"subject": made[-1].subject, "error_level": 0.02, "accepted": 1000, "errors": 2}
        return tier(certificates=[{**certificate, "minimum": dict.fromkeys(LABELS, 0.8)}], **changes)

    yield tier
    for each in made:
        each.close()


def _cascade(tier: RemoteTier) -> dict[str, Cascade]:
    return {TASK.name: Cascade(TASK, [RulesTier(TASK), tier])}


def _execute(database: Database, statement: LiteralString, *values: object) -> None:
    with psycopg.connect(database.admin_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(statement, values)


def test_a_certified_model_decides_and_is_booked_with_the_decision(
    engine: Engine, database: Database, server: ModelServer, make: Make
) -> None:
    tier = make(certified=True)
    decider(engine, _cascade(tier)).decide("notes", waiting(engine, [record("1", {"text": MORTGAGE}, TASK)]))
    assert rows(database, "SELECT outcome, tier, model_version FROM decisions") == [("mortgage", "remote", tier.subject)]
    ((sequence, tokens, unit, amount, code, grade, arm, stratum),) = rows(database, LINES)
    assert (sequence, unit, code, grade, arm, stratum) == (0, "token", "EUR", "A", "automated", "all")
    assert isinstance(tokens, Decimal)
    assert amount == (tokens - 17 + 170) / 1_000_000
    assert rows(database, "SELECT state, amount FROM remote_calls") == [("booked", amount)]
    assert rows(database, "SELECT kind FROM ledger_lines ORDER BY kind") == [("compute",), ("remote_model",)]


def test_an_uncertified_model_proposes_to_a_person_and_is_booked_as_well(
    engine: Engine, database: Database, server: ModelServer, make: Make
) -> None:
    decider(engine, _cascade(make())).decide("notes", waiting(engine, [record("1", {"text": MORTGAGE}, TASK)]))
    assert rows(database, "SELECT reasons, proposal->>'outcome' FROM reviews") == [(["uncertified"], "mortgage")]
    assert rows(database, "SELECT count(*) FROM decisions") == [(0,)]
    assert len(rows(database, LINES)) == 1


def test_a_batch_that_cannot_be_written_is_run_again_in_parts_without_paying_again(
    engine: Engine, database: Database, server: ModelServer, make: Make
) -> None:
    texts = [MORTGAGE] * 5 + [f"{MORTGAGE} unwritable"] + [MORTGAGE] * 2
    ids = waiting(engine, [record(str(n), {"text": text}, TASK) for n, text in enumerate(texts)])
    decider(engine, _cascade(make(certified=True))).decide("notes", ids)
    assert rows(database, "SELECT state, count(*) FROM cases GROUP BY state ORDER BY state") == [("decided", 7), ("pending", 1)]
    assert len(server.asked) == 8
    assert len(rows(database, LINES)) == 7
    assert rows(database, "SELECT state, count(*) FROM remote_calls GROUP BY state ORDER BY state") == [("booked", 7), ("settled", 1)]


def test_what_an_ended_run_has_paid_is_booked_by_the_one_that_settles_the_case(
    engine: Engine, database: Database, server: ModelServer, make: Make
) -> None:
    (case_id,) = waiting(engine, [record("1", {"text": MORTGAGE}, TASK)])
    # As a worker leaves it that was killed: once after its call was settled, once in the middle of another.
    _execute(database, "UPDATE cases SET state = 'processing', attempt = 2, lease_until = now() - interval '1 second'")
    for state, tokens in (("settled", 300), ("held", 1500)):
        _execute(
            database,
            "INSERT INTO remote_calls (id, tenant_id, automation, case_id, model, day, state, tokens, amount, currency, counted,"
            " settled_at) VALUES (gen_random_uuid(), 'acme', 'notes', %s, 'm', current_date, %s, %s, %s, 'EUR', %s, now())",
            case_id,
            state,
            tokens,
            Decimal(tokens) / 1_000_000,
            state == "settled",
        )
    decider(engine, _cascade(make(certified=True))).decide("notes", [case_id])
    booked = rows(database, LINES)
    assert [line[0] for line in booked] == [0, 1, 2]
    assert {(line[1], line[5]) for line in booked} >= {(Decimal(300), "A"), (Decimal(1500), "D")}
    assert rows(database, "SELECT DISTINCT state FROM remote_calls") == [("booked",)]


def test_the_longest_call_at_the_highest_price_that_a_tenant_can_set_is_booked(
    engine: Engine, database: Database, server: ModelServer, make: Make
) -> None:
    (case_id,) = waiting(engine, [record("1", {"text": MORTGAGE}, TASK)])
    most = Decimal(10**8) * Decimal("999999999999.99999999") / 1_000_000
    _execute(
        database,
        "INSERT INTO remote_calls (id, tenant_id, automation, case_id, model, day, state, tokens, amount, currency, counted, settled_at)"
        " VALUES (gen_random_uuid(), 'acme', 'notes', %s, 'm', current_date, 'settled', %s, %s, 'IDR', true, now())",
        case_id,
        10**8,
        most,
    )
    decider(engine, _cascade(make(certified=True))).decide("notes", [case_id])
    assert most in [line[3] for line in rows(database, LINES)]


def test_the_steward_books_what_is_left_over_once_and_not_what_a_worker_still_has(
    engine: Engine, database: Database, server: ModelServer, make: Make
) -> None:
    server.behave = lambda _asked, _count: WELL
    ids = waiting(engine, [record(str(n), {"text": f"{MORTGAGE} unwritable"}, TASK) for n in range(2)])
    worker = decider(engine, _cascade(make(certified=True)), attempt_cap=1)
    worker.decide("notes", ids)
    assert rows(database, "SELECT state FROM cases") == [("quarantined",)] * 2
    assert rows(database, LINES) == []
    _execute(database, "UPDATE cases SET state = 'processing' WHERE id = %s", ids[1])
    assert book_remote_calls(engine) == 0
    _execute(database, "UPDATE remote_calls SET created_at = now() - interval '1 hour'")
    assert [book_remote_calls(engine), book_remote_calls(engine)] == [1, 0]
    assert [(line[0], line[5]) for line in rows(database, LINES)] == [(0, "A")]


def test_a_failing_model_leaves_every_case_to_people_and_the_rest_of_the_line_alone(
    engine: Engine, database: Database, server: ModelServer, make: Make
) -> None:
    server.behave = lambda _asked, _count: Manner(503)
    ids = waiting(engine, [record(str(n), {"text": MORTGAGE}, TASK) for n in range(3)])
    decider(engine, _cascade(make(timeout=timedelta(seconds=0.2)))).decide("notes", ids)
    assert rows(database, "SELECT DISTINCT reasons FROM reviews") == [(["remote_overloaded"],)]
    assert rows(database, LINES) == []
    assert rows(database, "SELECT tokens FROM remote_calls WHERE state <> 'free'") == []
