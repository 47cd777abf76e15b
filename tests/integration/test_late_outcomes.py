"""Late outcomes take lines back by reference: once, in any order, and no record is lost or counted twice on the way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count, permutations
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy.exc import IntegrityError

from services.steward import outcomes
from services.steward.repository import watch
from shared.db import unit_of_work
from shared.errors import Retryable, SchemaViolation
from shared.events.admission import admit
from shared.events.envelope import Event
from shared.events.outcome import OUTCOME_TYPE
from shared.ids import uuid7
from shared.intake.record import Incoming, Receipt
from shared.intake.repository import store
from shared.ledger import posting
from shared.ledger import repository as ledger
from shared.money import Money, currency
from tests.horizon import roll_up
from tests.intake_data import NOON
from tests.integration.facts import Subject, add_tenant, decide, engine_of, receive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tests.conftest import Database
    from tests.integration.facts import Case

PATIENCE = timedelta(days=30)
_numbers = count()


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    with engine_of(database) as engine:
        with unit_of_work(engine) as connection:
            add_tenant(connection, control_share="0")
        yield engine


def _rows(engine: Engine, statement: str) -> list[tuple[Any, ...]]:
    with unit_of_work(engine) as connection:
        return [tuple(row) for row in connection.exec_driver_sql(statement)]


def _received(engine: Engine) -> Case:
    with unit_of_work(engine) as connection:
        return receive(connection, 1)[0]


def _decided(engine: Engine, case: Case, cash: str | None = "1000") -> None:
    """By a model, which has saved some cash."""
    with unit_of_work(engine) as connection:
        decide(connection, [case])
        if cash is not None:
            subject = Subject(case.id, case.tenant, case.automation, case.arm, "s")
            ledger.post(connection, [posting.for_cash(subject, Money(Decimal(cash), currency("EUR")), at=NOON)])


def _outcome(case: Case | UUID, result: str, *, minutes: int = 0, loss: str | None = None, number: int | None = None) -> Incoming:
    """As the gateway admits it."""
    event_id = f"o-{next(_numbers) if number is None else number}"
    data: dict[str, Any] = {"case_id": str(case if isinstance(case, UUID) else case.id), "result": result}
    if loss is not None:
        data["loss"] = {"amount": loss, "currency": "EUR"}
    return _incoming(event_id, data, NOON + timedelta(minutes=minutes))


def _incoming(event_id: str, data: dict[str, Any], at: datetime) -> Incoming:
    body = Event(id=event_id, source="/erp", type=OUTCOME_TYPE, time=at, data=data).canonical()
    return Incoming(
        tenant="acme", source="/erp", event_id=event_id, event_type=OUTCOME_TYPE, automation="outcomes", occurred_at=at, received_at=NOON,
        body=body, body_sha256=body[:32],
    )  # fmt: skip


def _tell(engine: Engine, *records: Incoming) -> list[Receipt]:
    with unit_of_work(engine) as connection:
        return [stored.receipt for stored in store(connection, list(records))]


def _apply(engine: Engine) -> int:
    return outcomes.apply_outcomes(engine, PATIENCE)


LINES = (
    "SELECT l.kind, l.quantity::int, l.amount::numeric(12, 2), l.reverses IS NOT NULL,"
    " EXISTS (SELECT FROM ledger_lines r WHERE r.reverses = l.id) FROM ledger_lines l WHERE kind <> 'compute'"
    " ORDER BY l.kind, l.sequence"
)
STATES = "SELECT state, case_id IS NOT NULL, lines FROM case_outcomes ORDER BY received_at, id"


def test_a_refund_takes_the_cash_back_by_reference_and_books_what_it_cost_in_the_hour_of_the_decision(engine: Engine) -> None:
    case = _received(engine)
    _decided(engine, case)
    assert _tell(engine, _outcome(case, "refunded", loss="250")) == [Receipt.ACCEPTED]
    assert _apply(engine) == 1
    assert _rows(engine, LINES) == [
        ("cash", None, Decimal(1000), False, True),
        ("error", 1, Decimal(250), False, False),
        ("reversal", None, Decimal(-1000), True, False),
    ]
    same_hour = "SELECT l.occurred_at = r.occurred_at FROM ledger_lines r JOIN ledger_lines l ON l.id = r.reverses"
    assert _rows(engine, same_hour) == [(True,)]
    assert _rows(engine, STATES) == [("applied", True, 2)]


def test_the_business_system_is_told_once_what_was_restated(engine: Engine) -> None:
    case = _received(engine)
    _decided(engine, case)
    _tell(engine, _outcome(case, "confirmed_wrong", loss="80"))
    for _ in range(2):
        _apply(engine)
    ((kind, automation, body),) = _rows(engine, "SELECT kind, automation, body FROM outbox WHERE case_id IS NULL")
    data = orjson.loads(bytes(body))["data"]
    assert (kind, automation) == ("savings.restated", "claims")
    assert (data["case_id"], data["result"], data["event"]["source"]) == (str(case.id), "confirmed_wrong", "test")
    assert [(line["kind"], Decimal(line["amount"])) for line in data["lines"]] == [("reversal", Decimal(-1000)), ("error", Decimal(80))]


def test_an_outcome_that_comes_before_its_case_waits_for_it(engine: Engine) -> None:
    reference = {"event": {"source": "test", "id": "later"}, "result": "confirmed_wrong", "loss": {"amount": "80", "currency": "EUR"}}
    _tell(engine, _incoming("o-early", reference, NOON))
    assert _apply(engine) == 0
    case = _received(engine)
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql("UPDATE cases SET event_id = 'later'")
    assert _apply(engine) == 0
    _decided(engine, case)
    assert _apply(engine) == 1
    assert [row[0] for row in _rows(engine, LINES)] == ["cash", "error", "reversal"]


def test_duplicates_change_nothing_and_another_body_under_the_same_id_is_a_conflict(engine: Engine) -> None:
    case = _received(engine)
    _decided(engine, case)
    first = _outcome(case, "appealed", number=10_001)
    assert _tell(engine, first, first) == [Receipt.ACCEPTED, Receipt.DUPLICATE]
    _apply(engine)
    before = _rows(engine, LINES)
    assert _tell(engine, first, replace(first, body_sha256=b"x" * 32)) == [Receipt.DUPLICATE, Receipt.CONFLICT]
    assert _apply(engine) == 0
    assert _rows(engine, LINES) == before


def test_two_stewards_at_once_apply_each_outcome_once(engine: Engine) -> None:
    for _ in range(6):
        case = _received(engine)
        _decided(engine, case)
        _tell(engine, _outcome(case, "confirmed_wrong", loss="80"))
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: _apply(engine), range(4))) == 6
    assert _rows(engine, "SELECT kind, count(*)::int FROM ledger_lines WHERE kind <> 'compute' GROUP BY 1 ORDER BY 1") == [
        ("cash", 6), ("error", 6), ("reversal", 6),
    ]  # fmt: skip


def test_the_order_in_which_outcomes_arrive_does_not_matter_only_that_of_what_happened(engine: Engine) -> None:
    story = [("reopened", 1, None), ("confirmed_wrong", 2, "80"), ("confirmed_right", 3, None)]
    for order in permutations(story):
        case = _received(engine)
        _decided(engine, case)
        for result, minutes, loss in order:
            _tell(engine, _outcome(case, result, minutes=minutes, loss=loss))
            _apply(engine)
    net = (
        "SELECT case_id, sum(amount) FILTER (WHERE kind = 'cash' OR of = 'cash'), sum(amount) FILTER (WHERE kind = 'error' OR of = 'error')"
        " FROM (SELECT l.*, r.kind AS of FROM ledger_lines l LEFT JOIN ledger_lines r ON r.id = l.reverses WHERE l.kind <> 'compute') l"
        " GROUP BY case_id"
    )
    assert {(cash, errors or 0) for _, cash, errors in _rows(engine, net)} == {(Decimal(1000), 0)}


def test_an_outcome_that_cannot_be_booked_holds_up_no_other(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes first each time, being the oldest. Three are in no currency, which no gateway lets in."""
    monkeypatch.setattr(outcomes, "BATCH", 2)
    cases = [_received(engine) for _ in range(10)]
    for case in cases:
        _decided(engine, case)
    _tell(engine, *(_outcome(case, "refunded", loss="1") for case in cases))
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql(
            "UPDATE case_outcomes SET currency = 'eur' WHERE id IN (SELECT id FROM case_outcomes ORDER BY id LIMIT 3)"
        )
    for _ in range(5):
        with pytest.raises(outcomes.OutcomesFailed) as told:
            _apply(engine)
        assert told.value.context == {"outcomes": 3}
    assert _rows(engine, "SELECT state, count(*) FROM case_outcomes GROUP BY 1 ORDER BY 1") == [("applied", 7), ("waiting", 3)]
    assert _rows(engine, "SELECT count(*) FROM ledger_lines WHERE kind = 'error'") == [(7,)]


def test_an_outcome_whose_case_is_locked_holds_up_no_other(engine: Engine) -> None:
    locked, other = _received(engine), _received(engine)
    for case in (locked, other):
        _decided(engine, case)
        _tell(engine, _outcome(case, "refunded", loss="1"))
    with unit_of_work(engine) as elsewhere:
        elsewhere.exec_driver_sql("SELECT 1 FROM cases WHERE id = %(id)s FOR UPDATE", {"id": locked.id})
        with pytest.raises(Retryable):
            _apply(engine)
    assert _rows(engine, "SELECT named_case, state FROM case_outcomes ORDER BY received_at, id") == [
        (locked.id, "waiting"),
        (other.id, "applied"),
    ]
    assert _apply(engine) == 1


@pytest.mark.parametrize(("amount", "fits"), [("9999999999.9999", True), ("10000000000", False)])
def test_a_loss_that_no_ledger_line_can_hold_is_refused_at_the_door(amount: str, fits: bool) -> None:  # noqa: FBT001  # a parameter
    data = {"case_id": str(uuid7()), "result": "refunded", "loss": {"amount": amount, "currency": "IDR"}}
    event = Event(id="1", source="/erp", type=OUTCOME_TYPE, data=data)
    with nullcontext() if fits else pytest.raises(SchemaViolation):
        admit(event)


def test_the_largest_loss_that_is_let_in_is_booked_also_where_its_minor_units_round_it_up(engine: Engine) -> None:
    case = _received(engine)
    _decided(engine, case, cash="9999999999.99")
    _tell(engine, _outcome(case, "refunded", loss="9999999999.9999"))
    assert _apply(engine) == 1
    assert _rows(engine, "SELECT amount FROM ledger_lines WHERE kind = 'error'") == [(Decimal(10**10),)]


def test_every_outcome_is_somewhere_when_records_are_counted(engine: Engine) -> None:
    case, open_case = _received(engine), _received(engine)
    _decided(engine, case)
    known = _outcome(case, "reopened")
    _tell(engine, known, known, _outcome(open_case, "appealed"))
    _tell(engine, _incoming("o-nobody", {"case_id": str(UUID(int=7)), "result": "appealed"}, NOON))
    _apply(engine)
    # Nobody has patience any more: what names a case that is only open goes on waiting.
    assert outcomes.apply_outcomes(engine, timedelta(0)) == 1
    counts = (
        "SELECT sum(received)::int, sum(duplicate)::int, sum(outcomes)::int, sum(pending)::int, sum(quarantined)::int,"
        " sum(abs(difference))::int FROM conservation WHERE automation = 'outcomes'"
    )
    for _ in range(2):
        assert _rows(engine, counts) == [(4, 1, 1, 1, 1, 0)]
        assert _rows(engine, "SELECT count(*)::int FROM conservation WHERE difference <> 0") == [(0,)]
        roll_up(engine)
    with unit_of_work(engine) as connection:
        assert watch.conservation_difference(connection) == 0


def test_an_outcome_that_was_given_up_is_applied_once_its_case_comes_after_all(engine: Engine) -> None:
    reference = {"event": {"source": "test", "id": "replayed"}, "result": "confirmed_wrong", "loss": {"amount": "80", "currency": "EUR"}}
    _tell(engine, _incoming("o-overtook", reference, NOON), _outcome(UUID(int=7), "appealed"))
    assert outcomes.apply_outcomes(engine, timedelta(0)) == 2
    assert outcomes.take_up_outcomes(engine) == 0
    case = _received(engine)
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql("UPDATE cases SET event_id = 'replayed'")
    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(lambda _: outcomes.take_up_outcomes(engine), range(2))) == 1
    assert outcomes.apply_outcomes(engine, timedelta(0)) == 0
    _decided(engine, case)
    assert outcomes.apply_outcomes(engine, timedelta(0)) == 1
    assert [row[0] for row in _rows(engine, LINES)] == ["cash", "error", "reversal"]
    assert _rows(engine, "SELECT state, count(*) FROM case_outcomes GROUP BY 1 ORDER BY 1") == [("applied", 1), ("unmatched", 1)]
    for _ in range(2):
        assert _rows(engine, "SELECT outcomes, quarantined, difference FROM conservation WHERE automation = 'outcomes'") == [(1, 1, 0)]
        roll_up(engine)


def test_a_line_is_taken_back_once_whatever_a_program_tries(engine: Engine) -> None:
    case = _received(engine)
    _decided(engine, case)
    with unit_of_work(engine) as connection:
        (booked,) = ledger.booked(connection, case.id, ["cash"])
        ledger.post(connection, [posting.reversal(booked)])
    with pytest.raises(IntegrityError, match="uq_ledger_lines_reverses"), unit_of_work(engine) as connection:
        ledger.post(connection, [replace(posting.reversal(booked), sequence=5)])
