"""How much of a review is booked."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from services.ops.service.booking import clocks

SECONDS = st.decimals(min_value=0, max_value=10_000_000, places=3)


def test_the_smaller_clock_is_booked() -> None:
    booked = clocks(reported=Decimal(90), claim=Decimal(60), earlier=Decimal(5), time_scale=Decimal(1))
    assert (booked.active, booked.span, booked.booked) == (Decimal(95), Decimal(65), Decimal(65))


def test_simulated_time_is_scaled_once() -> None:
    assert clocks(reported=Decimal(2), claim=Decimal(9), earlier=Decimal(1), time_scale=Decimal(60)).booked == 180


@given(reported=SECONDS, claim=SECONDS, earlier=SECONDS)
def test_nobody_books_more_than_either_clock_says(reported: Decimal, claim: Decimal, earlier: Decimal) -> None:
    found = clocks(reported=reported, claim=claim, earlier=earlier, time_scale=Decimal(1))
    assert earlier <= found.booked <= min(found.active, found.span)
