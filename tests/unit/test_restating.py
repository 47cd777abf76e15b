"""Which lines of a case stand, from what is known of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.casework.restating import Known, changes
from shared.events.outcome import CaseOutcome, Result
from shared.ledger import posting
from shared.ledger.posting import Line
from shared.ledger.repository import Booked
from shared.money import Money, currency
from tests.intake_data import NOON

EUR = currency("EUR")
PRICE = Money(Decimal(80), EUR)
LOSS = Money(Decimal("312.50"), EUR)
KNOWN = Known(
    case_id=uuid4(), tenant_id="acme", automation="invoices", arm="automated", stratum="all", tier="nano", decided_at=NOON,
    probability=Decimal("0.02"), saved=Money(Decimal(1000), EUR),
)  # fmt: skip


def _book(lines: list[Booked], new: list[Line]) -> list[Booked]:
    """As the ledger would look afterwards; each reversal must take a standing line back, and wholly."""
    for line in new:
        if line.reverses is None:
            lines = [*lines, Booked(line, taken_back=False)]
            continue
        (taken,) = [one for one in lines if one.id == line.reverses]
        assert not taken.taken_back
        assert (line.quantity, line.amount) == tuple(None if x is None else -x for x in (taken.quantity, taken.amount))
        assert (line.occurred_at, line.currency, line.grade) == (taken.line.occurred_at, taken.currency, taken.line.grade)
        lines = [replace(one, taken_back=True) if one.id == line.reverses else one for one in lines]
    return lines


def _standing(known: Known, lines: list[Booked]) -> tuple[list[Booked], dict[str, Decimal]]:
    lines = _book(lines, changes(known, lines, PRICE))
    assert changes(known, lines, PRICE) == [], "a second look changes nothing"
    sums: dict[str, Decimal] = {}
    for line in lines:
        if not line.taken_back:
            sums[line.kind] = sums.get(line.kind, Decimal(0)) + (line.amount or Decimal(0))
    return lines, sums


def _saved() -> list[Booked]:
    return [Booked(posting.for_cash(KNOWN, Money(Decimal(1000), EUR), at=NOON), taken_back=False)]


@pytest.mark.parametrize(
    ("result", "loss", "stands"),
    [
        (None, None, {"cash": Decimal(1000)}),
        (Result.REOPENED, None, {}),
        (Result.APPEALED, None, {}),
        (Result.REFUNDED, None, {}),
        (Result.REFUNDED, LOSS, {"error": Decimal("312.50")}),
        (Result.CONFIRMED_WRONG, None, {"error": Decimal(80)}),
        (Result.CONFIRMED_WRONG, LOSS, {"error": Decimal("312.50")}),
        (Result.CONFIRMED_RIGHT, None, {"cash": Decimal(1000)}),
    ],
)
def test_each_result_leaves_standing_what_it_does_not_contradict(
    result: Result | None, loss: Money | None, stands: dict[str, Decimal]
) -> None:
    assert _standing(replace(KNOWN, result=result, loss=loss), _saved())[1] == stands


def test_an_error_that_an_audit_found_stands_for_fifty_until_it_is_known_for_certain_and_then_for_one() -> None:
    found = replace(KNOWN, wrong=True, saved=None)
    lines, sums = _standing(found, [])
    assert sums == {"error": Decimal(4000)}
    lines, sums = _standing(replace(found, result=Result.CONFIRMED_WRONG), lines)
    assert sums == {"error": Decimal(80)}
    assert _standing(replace(found, result=Result.CONFIRMED_RIGHT), lines)[1] == {}


@pytest.mark.parametrize("changed", [{"tier": "human"}, {"arm": "control", "tier": "human"}])
def test_a_persons_error_is_no_cost_of_automation(changed: dict[str, str]) -> None:
    known = replace(KNOWN, saved=None, result=Result.CONFIRMED_WRONG, loss=LOSS, **changed)  # type: ignore[arg-type]  # names of text fields
    assert known.errors() == 0
    assert changes(known, [], PRICE) == []


def test_without_a_price_an_error_is_counted_and_its_amount_stays_open() -> None:
    (line,) = changes(replace(KNOWN, wrong=True, saved=None), [], None)
    assert (line.kind, line.quantity, line.amount) == ("error", Decimal(50), None)


def test_a_doubt_is_about_the_outcome_that_held_then_and_not_about_the_one_that_rework_brought_later() -> None:
    doubted = replace(KNOWN, result=Result.APPEALED, told_at=NOON, saved=PRICE)
    assert _standing(replace(doubted, corrected_at=NOON - timedelta(hours=1)), _saved())[1] == {}
    assert _standing(replace(doubted, corrected_at=NOON + timedelta(hours=1)), _saved())[1] == {"cash": PRICE.amount}


def test_an_outcome_that_saves_the_same_leaves_its_line_alone() -> None:
    assert changes(replace(KNOWN, corrected_at=NOON), _saved(), PRICE) == []


_FACTS = st.fixed_dictionaries(
    {
        "result": st.sampled_from([None, *Result]),
        "loss": st.sampled_from([None, LOSS]),
        "wrong": st.sampled_from([None, True, False]),
        "told_at": st.just(NOON),
        "saved": st.sampled_from([None, PRICE, KNOWN.saved]),
        "corrected_at": st.sampled_from([None, NOON - timedelta(hours=1), NOON + timedelta(hours=1)]),
    }
)


@given(st.lists(_FACTS, min_size=1, max_size=8))
def test_what_stands_follows_from_what_is_known_last_whatever_was_believed_before(history: list[dict[str, Any]]) -> None:
    lines = _saved()
    for facts in history:
        known = replace(KNOWN, **facts)
        lines, sums = _standing(known, lines)
    assert sums == _standing(known, _saved())[1] == _standing(known, [])[1]


@pytest.mark.parametrize(
    "data",
    [
        {"result": "confirmed_wrong"},
        {"result": "confirmed_wrong", "case_id": str(uuid4()), "event": {"source": "/erp", "id": "1"}},
        {"result": "confirmed_right", "case_id": str(uuid4()), "loss": {"amount": "1", "currency": "EUR"}},
        {"result": "refunded", "case_id": str(uuid4()), "loss": {"amount": "-1", "currency": "EUR"}},
        {"result": "lost", "case_id": str(uuid4())},
    ],
)
def test_an_outcome_that_names_no_case_or_makes_no_sense_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CaseOutcome.model_validate(data)
