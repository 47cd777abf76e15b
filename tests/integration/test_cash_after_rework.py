"""Cash follows the outcome that holds: rework takes back what an outcome had saved and books what the next one saves, once each."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from services.roi.main import build
from services.roi.service import Roi
from services.steward import outcomes
from services.steward.repository import watch
from shared.clock import SystemClock
from shared.db import unit_of_work
from shared.events.envelope import Event
from shared.events.outcome import OUTCOME_TYPE
from shared.intake.record import Incoming
from shared.intake.repository import store
from tests.horizon import roll_up
from tests.integration.facts import engine_of
from tests.ops_desk import Desk, open_desk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from sqlalchemy import Engine

    from tests.conftest import Database

INVOICE = {"number": "R-1", "currency": "EUR", "gross": "119.00", "payable": "119.00", "seller": {"name": "Muster GmbH"}}
DUPLICATE = ("duplicate",)


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    with open_desk(database) as desk:
        yield desk


@pytest.fixture
def line(database: Database) -> Iterator[Engine]:
    with engine_of(database) as engine:
        yield engine


def _submit(desk: Desk, review: object, outcome: str, **more: Any) -> Any:
    return desk.post(f"/v1/reviews/{review}/submit", _answer(outcome, **more))


def _answer(outcome: str, **more: Any) -> dict[str, Any]:
    return {"outcome": outcome, "reasons": [], "active_seconds": 5, "reviewer": "ada"} | more


def _claimed(desk: Desk, review: object) -> object:
    desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "ada"})
    return review


def _decided(desk: Desk, outcome: str, *, arm: str = "automated", **more: Any) -> UUID:
    """An invoice that its system has sent before, which the line has shown to a person for that reason."""
    case, review = desk.waiting(automation="invoices", data=INVOICE, reasons=() if arm == "control" else DUPLICATE, arm=arm)
    _submit(desk, _claimed(desk, review), outcome, **more)
    return case


def _reopened(desk: Desk, case: UUID) -> object:
    return _claimed(desk, desk.post(f"/v1/cases/{case}/reopen", {"reason": "The seller objects."})["id"])


def _rework(desk: Desk, case: UUID, outcome: str, **more: Any) -> Any:
    return _submit(desk, _reopened(desk, case), outcome, **more)


def _cash(desk: Desk, case: UUID) -> list[tuple[str, int, Decimal, bool]]:
    """Kind, number, amount, and whether it names a line."""
    found = desk.rows(
        "SELECT kind, sequence, amount, reverses IS NOT NULL AS names FROM ledger_lines WHERE case_id = %s AND amount IS NOT NULL"
        " ORDER BY booked_at, reverses IS NULL, sequence",
        case,
    )
    return [(row["kind"], row["sequence"], row["amount"], row["names"]) for row in found]


def _standing(desk: Desk, case: UUID) -> Decimal:
    (row,) = desk.rows(
        "SELECT coalesce(sum(amount), 0) AS cash FROM ledger_lines WHERE case_id = %s AND kind IN ('cash', 'reversal')", case
    )
    return Decimal(row["cash"])


SAVED = Decimal(119)
FIRST = ("cash", 0, SAVED, False)


def test_an_invoice_that_rework_rejects_saves_its_amount_in_the_hour_of_the_decision(desk: Desk) -> None:
    case = _decided(desk, "post")
    assert _cash(desk, case) == []
    _rework(desk, case, "reject")
    assert _cash(desk, case) == [("cash", 1, SAVED, False)]
    (row,) = desk.rows(
        "SELECT l.occurred_at = d.decided_at AS same FROM ledger_lines l JOIN decisions d USING (case_id) WHERE l.kind = 'cash'"
    )
    assert row["same"]
    (kept,) = desk.rows("SELECT previous_outcome, outcome, cash_amount, cash_currency FROM corrections")
    assert tuple(kept.values()) == ("post", "reject", SAVED, "EUR")


def test_cash_goes_with_the_outcome_twice_back_and_forth(desk: Desk) -> None:
    case = _decided(desk, "reject")
    booked = [FIRST]
    assert _cash(desk, case) == booked
    for number in (1, 2):
        _rework(desk, case, "post")
        booked.append(("reversal", number - 1, -SAVED, True))
        assert _cash(desk, case) == booked
        assert _standing(desk, case) == 0
        _rework(desk, case, "reject")
        booked.append(("cash", number, SAVED, False))
        assert _cash(desk, case) == booked
        assert _standing(desk, case) == SAVED
    taken = desk.rows("SELECT l.sequence FROM ledger_lines r JOIN ledger_lines l ON l.id = r.reverses ORDER BY 1")
    assert [row["sequence"] for row in taken] == [0, 1]


def test_rework_that_confirms_or_changes_only_attributes_leaves_the_cash_alone(desk: Desk) -> None:
    case = _decided(desk, "reject")
    _rework(desk, case, "reject")
    _rework(desk, case, "reject", attributes={"note": "seen twice"})
    assert _cash(desk, case) == [FIRST]
    assert desk.rows("SELECT cash_amount FROM corrections") == [{"cash_amount": SAVED}]
    desk.sql.execute("DELETE FROM payloads")
    _rework(desk, case, "reject", attributes={"note": "the document is gone, the outcome stays"})
    assert _cash(desk, case) == [FIRST]
    _rework(desk, case, "post")
    assert _standing(desk, case) == 0


def test_the_control_arm_saves_no_cash_whatever_rework_says(desk: Desk) -> None:
    case = _decided(desk, "post", arm="control")
    _rework(desk, case, "reject", reasons=["duplicate"])
    assert _cash(desk, case) == []


def test_the_same_answer_sent_again_and_again_at_once_moves_the_cash_once(desk: Desk) -> None:
    case = _decided(desk, "reject")
    review = _reopened(desk, case)
    start = Barrier(6)
    desk.token("acme", "admin")

    def press(_: int) -> int:
        start.wait(10)
        return desk.call("POST", f"/v1/reviews/{review}/submit", _answer("post")).status_code

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(press, range(6))) == {200}
    assert desk.call("POST", f"/v1/reviews/{review}/submit", _answer("reject")).status_code == 409
    assert _cash(desk, case) == [FIRST, ("reversal", 0, -SAVED, True)]
    assert desk.rows("SELECT count(*)::int AS n FROM outbox WHERE kind = 'savings.restated'") == [{"n": 1}]


@contextmanager
def _killed_at(desk: Desk, table: str, condition: str) -> Iterator[None]:
    """The connection that inserts such a row is gone in that moment, and its transaction with it."""
    desk.sql.execute(
        "CREATE FUNCTION kill_writer() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$"
    )
    desk.sql.execute(
        f"CREATE TRIGGER killing AFTER INSERT ON {table} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION kill_writer()".encode()
    )
    try:
        yield
    finally:
        desk.sql.execute(f"DROP TRIGGER killing ON {table}".encode())
        desk.sql.execute("DROP FUNCTION kill_writer()")


@pytest.mark.parametrize(
    ("table", "condition"), [("ledger_lines", "NEW.kind = 'reversal'"), ("outbox", "NEW.kind = 'savings.restated'")], ids=["half", "end"]
)
def test_who_dies_in_between_has_moved_nothing_and_the_same_answer_moves_it_once(desk: Desk, table: str, condition: str) -> None:
    case = _decided(desk, "reject")
    review = _reopened(desk, case)
    with _killed_at(desk, table, condition):
        assert desk.call("POST", f"/v1/reviews/{review}/submit", _answer("post")).status_code >= 500
    assert _cash(desk, case) == [FIRST]
    assert desk.rows("SELECT count(*)::int AS n FROM corrections") == [{"n": 0}]
    assert desk.rows("SELECT state FROM reviews WHERE id = %s", review) == [{"state": "claimed"}]
    _submit(desk, review, "post")
    assert _cash(desk, case) == [FIRST, ("reversal", 0, -SAVED, True)]


def test_the_business_system_is_told_what_was_restated(desk: Desk) -> None:
    case = _decided(desk, "reject")
    _rework(desk, case, "post")
    (row,) = desk.rows("SELECT o.body, c.id FROM outbox o, corrections c WHERE o.kind = 'savings.restated'")
    event = json.loads(bytes(row["body"]))
    assert (event["subject"], event["data"]["case_id"], event["data"]["result"]) == (str(row["id"]), str(case), "corrected")
    assert [(told["kind"], Decimal(told["amount"])) for told in event["data"]["lines"]] == [("reversal", -SAVED)]


def _tell(line: Engine, case: UUID, result: str, at: datetime) -> None:
    data = {"case_id": str(case), "result": result}
    body = Event(id=f"{result}-{at}", source="/erp", type=OUTCOME_TYPE, time=at, data=data).canonical()
    outcome = Incoming(
        tenant="acme", source="/erp", event_id=f"{result}-{at}", event_type=OUTCOME_TYPE, automation="outcomes", occurred_at=at,
        received_at=at, body=body, body_sha256=body[:32],
    )  # fmt: skip
    with unit_of_work(line) as connection:
        store(connection, [outcome])
    assert outcomes.apply_outcomes(line, timedelta(days=30)) == 1


def test_late_outcomes_speak_of_the_outcome_that_held_and_of_its_cash(desk: Desk, line: Engine) -> None:
    case = _decided(desk, "post")
    begin = datetime.now(UTC)  # noqa: TID251  # as the business system's own clock
    _tell(line, case, "appealed", begin)
    _rework(desk, case, "reject")
    assert _standing(desk, case) == SAVED, "what was appealed does not hold any more"
    _tell(line, case, "reopened", begin - timedelta(minutes=1))
    assert _standing(desk, case) == SAVED, "and neither does what was doubted before"
    _tell(line, case, "appealed", begin + timedelta(hours=1))
    assert _standing(desk, case) == 0
    _tell(line, case, "confirmed_right", begin + timedelta(hours=2))
    assert _standing(desk, case) == SAVED
    _rework(desk, case, "post")
    assert _standing(desk, case) == 0
    _tell(line, case, "confirmed_right", begin + timedelta(hours=3))
    assert _standing(desk, case) == 0, "an outcome that saves nothing is confirmed"


def test_the_figures_follow_the_bridge_says_corrections_and_every_record_stays_where_it_was(
    desk: Desk, line: Engine, database: Database
) -> None:
    case = _decided(desk, "reject")
    clock = SystemClock()
    roll_up(line)
    # A case of the desk's came through no door.
    with unit_of_work(line) as connection:
        unbalanced = watch.conservation_difference(connection)
    with engine_of(database, "recoup_api") as engine:
        executive = {"Authorization": f"Bearer {desk.token('acme', 'executive')}"}
        with TestClient(build(Roi(engine, clock), engine, clock, threads=2), headers=executive) as client:

            def ask(path: str, **parameters: Any) -> Any:
                roll_up(line)
                answer = client.get(f"/v1/roi/{path}", params=parameters)
                assert answer.status_code == 200, answer.text
                return answer.json()

            first = clock.now().isoformat()
            for outcome, cash in (("post", 0), ("reject", 119), ("post", 0)):
                _rework(desk, case, outcome)
                for as_of in ({}, {"as_of": clock.now().isoformat()}):
                    assert Decimal(ask("summary", **as_of)["total"]["money"]["cash"]) == cash
                (moved,) = [one for one in ask("bridge", earlier=first)["movements"] if one["figure"] == "cash"]
                causes = {part["cause"]: Decimal(part["amount"]) for part in moved["parts"] if Decimal(part["amount"])}
                assert causes == ({} if cash else {"corrections": -SAVED})
            assert Decimal(ask("summary", as_of=first)["total"]["money"]["cash"]) == SAVED
            grades = {part["key"]: part["money"] for part in ask("breakdown", by="grade")["parts"]}
            assert [Decimal(money["amount"]) for money in grades["A"] if money["kind"] == "cash"] == [0]
    with unit_of_work(line) as connection:
        assert watch.conservation_difference(connection) == unbalanced
