"""What is booked, and that nothing is rounded away."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ledger.posting import for_cash, for_compute, for_platform, for_review
from shared.money import Money, currency
from tests.casework_data import CASE_ID, decided
from tests.intake_data import NOON

EUR = currency("EUR")


def test_compute_is_cpu_seconds_at_the_hourly_price_with_ten_decimals() -> None:
    line = for_compute(decided(), 1_800_000, Money(Decimal("0.05"), EUR), at=NOON)
    assert (line.kind, line.case_id, line.quantity, line.unit) == ("compute", CASE_ID, Decimal("0.001800000"), "cpu_s")
    assert (line.amount, line.currency, line.grade) == (Decimal("0.0000000250"), "EUR", "A")


def test_an_unknown_price_leaves_the_amount_open_instead_of_zero() -> None:
    line = for_compute(decided(), 5, None, at=NOON)
    assert (line.quantity, line.amount, line.currency) == (Decimal("0.000000005"), None, None)


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=50))
def test_quantities_of_compute_lines_add_up_to_the_nanosecond(parts: list[int]) -> None:
    lines = [for_compute(decided(), part, None, at=NOON) for part in parts]
    assert sum((line.quantity or Decimal(0) for line in lines), Decimal(0)) == Decimal(sum(parts)).scaleb(-9)


@pytest.mark.parametrize(("arm", "kind"), [("control", "manual_time"), ("automated", "review_time")])
def test_a_persons_time_is_manual_where_nothing_helped(arm: str, kind: str) -> None:
    line = for_review(decided(arm=arm), Decimal("12.3456789012"), at=NOON)
    assert (line.kind, line.arm, line.quantity, line.unit, line.amount) == (kind, arm, Decimal("12.345678901"), "s", None)


def test_negative_time_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        for_review(decided(), Decimal(-1), at=NOON)


def test_cash_is_rounded_to_the_minor_unit_of_its_currency() -> None:
    assert for_cash(decided(), Money(Decimal("10.125"), EUR), at=NOON).amount == Decimal("10.12")
    assert for_cash(decided(), Money(Decimal("10.5"), currency("JPY")), at=NOON).amount == Decimal(10)


def test_the_control_arm_saves_no_cash() -> None:
    with pytest.raises(ValueError, match="control"):
        for_cash(decided(arm="control"), Money(Decimal(1), EUR), at=NOON)


def test_hours_of_platform_cost_add_up_to_the_month() -> None:
    hourly = Money(Decimal(100) / 720, EUR)
    amounts = [for_platform("acme", "claims", hourly, hour=NOON).amount or Decimal(0) for _ in range(720)]
    assert abs(sum(amounts, Decimal(0)) - 100) < Decimal("1e-6")
    assert for_platform("acme", "claims", hourly, hour=NOON).case_id is None
