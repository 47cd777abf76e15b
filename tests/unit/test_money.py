"""Money is exact, of one currency, and never a float."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.money import Currency, Money, currency

EUR = currency("EUR")
amounts = st.decimals(min_value=Decimal(-(10**12)), max_value=Decimal(10**12), places=10)


@given(amounts, amounts)
def test_sums_are_exact_and_do_not_depend_on_order(left: Decimal, right: Decimal) -> None:
    total = Money(left, EUR) + Money(right, EUR)
    assert total == Money(right, EUR) + Money(left, EUR)
    assert total - Money(right, EUR) == Money(left, EUR)
    assert total + -total == Money(Decimal(0), EUR)


@given(amounts, st.integers(min_value=0, max_value=50))
def test_a_multiple_is_the_sum_of_its_parts(amount: Decimal, times: int) -> None:
    total = Money(Decimal(0), EUR)
    for _ in range(times):
        total += Money(amount, EUR)
    assert total == Money(amount, EUR) * times


@given(amounts)
def test_rounding_is_half_even_to_the_minor_unit_and_settles_at_once(amount: Decimal) -> None:
    rounded = Money(amount, EUR).rounded()
    assert rounded.amount == amount.quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN)
    assert abs(rounded.amount - amount) <= Decimal("0.005")
    assert rounded.rounded() == rounded


@pytest.mark.parametrize(
    ("code", "amount", "expected"),
    [
        ("EUR", "0.125", "0.12"),
        ("EUR", "0.135", "0.14"),
        ("EUR", "-0.125", "-0.12"),
        ("JPY", "2.5", "2"),
        ("JPY", "3.5", "4"),
        ("KWD", "1.0005", "1.000"),
        ("KWD", "1.0015", "1.002"),
        ("CLF", "1.00005", "1.0000"),
    ],
)
def test_halves_go_to_the_even_neighbour_of_the_currency(code: str, amount: str, expected: str) -> None:
    rounded = Money(Decimal(amount), currency(code)).rounded().amount
    assert str(rounded) == expected


@pytest.mark.parametrize("amount", [1.0, 1, "1", None, True])
def test_an_amount_that_is_no_decimal_is_refused(amount: Any) -> None:
    with pytest.raises(TypeError):
        Money(amount, EUR)


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_an_amount_that_is_not_finite_is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="finite"):
        Money(Decimal(amount), EUR)


@pytest.mark.parametrize("code", ["eur", "EU", "EURO", "E1R", "", "ÄUR", "€€€"])
def test_what_is_no_currency_code_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="currency code"):
        Money(Decimal(1), Currency(code))


def test_two_currencies_never_meet_in_one_sum() -> None:
    euros, dollars = Money(Decimal(1), EUR), Money(Decimal(1), currency("USD"))
    with pytest.raises(ValueError, match="dated rate"):
        euros + dollars
    with pytest.raises(ValueError, match="dated rate"):
        euros - dollars
    assert euros != dollars


@pytest.mark.parametrize("factor", [0.5, float("nan")])
def test_money_is_not_multiplied_by_a_float(factor: Any) -> None:
    with pytest.raises(TypeError):
        Money(Decimal(1), EUR) * factor


def test_money_times_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        Money(Decimal(1), EUR) * Decimal("NaN")
