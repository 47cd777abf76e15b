"""Periods, slots, and money at dated rates: the arithmetic around the estimate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.roi.facts import DatedRate, MoneySum, Wanted
from services.roi.period import BadPeriod, Bucket, Period
from services.roi.valuation import Valuation
from services.steward.schedule import slot_of, until_next

NOW = datetime(2026, 3, 4, 10, 30, tzinfo=UTC)
moments = st.datetimes(datetime(2001, 1, 1), datetime(2190, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis adds the zone
EURO_DOLLAR = DatedRate("fx:EUR:USD", "*", Decimal("1.25"), None, NOW, "central bank")


def _money(kind: str, currency: str, amount: str) -> MoneySum:
    return MoneySum("claims", "automated", kind, "A", currency, Decimal(amount), Decimal(0))


def test_a_period_is_widened_to_whole_hours() -> None:
    period = Period.of(NOW - timedelta(hours=2), NOW, now=NOW)
    assert (period.start, period.end) == (datetime(2026, 3, 4, 8, tzinfo=UTC), datetime(2026, 3, 4, 11, tzinfo=UTC))


def test_without_a_start_a_period_begins_with_the_quarter_of_its_last_hour_or_has_the_length_that_is_asked_for() -> None:
    period = Period.of(None, None, now=NOW)
    assert (period.start, period.end) == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 4, 11, tzinfo=UTC))
    whole = Period.of(None, datetime(2026, 4, 1, tzinfo=UTC), now=NOW)
    assert (whole.start, whole.end) == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
    recent = Period.of(None, None, now=NOW, default=timedelta(days=30))
    assert recent.end - recent.start == timedelta(days=30)


@given(moments, st.integers(0, 90 * 24))
def test_whoever_looks_again_in_the_same_quarter_looks_at_the_same_start(first: datetime, hours: int) -> None:
    later = first + timedelta(hours=hours)
    one, other = Period.of(None, None, now=first), Period.of(None, None, now=later)
    quarters = [((moment.month - 1) // 3, moment.year) for moment in (one.end - timedelta(hours=1), other.end - timedelta(hours=1))]
    assert (one.start == other.start) == (quarters[0] == quarters[1])
    assert one.start <= first
    assert one.end - one.start <= timedelta(days=92)


def test_a_period_that_is_over_does_not_reach_over_the_moment_that_its_rates_are_of() -> None:
    period = Period.of(NOW - timedelta(hours=2), NOW, now=NOW)
    over, running = (Wanted("acme", period, min(now, period.last)) for now in (NOW + timedelta(hours=1), NOW))
    assert (over.at, over.unfinished) == (period.end - timedelta(microseconds=1), False)
    assert (running.at, running.unfinished) == (NOW, True)


def test_a_week_begins_on_monday() -> None:
    assert Bucket.WEEK.start(NOW) == datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(("start", "end"), [(NOW, NOW - timedelta(days=1)), (NOW - timedelta(days=801), NOW)])
def test_a_period_that_is_empty_or_too_long_is_refused(start: datetime, end: datetime) -> None:
    with pytest.raises(BadPeriod):
        Period.of(start, end, now=NOW)


def test_more_buckets_than_can_be_drawn_are_refused() -> None:
    with pytest.raises(BadPeriod):
        Period.of(NOW - timedelta(days=60), NOW, now=NOW).refuse_too_many(Bucket.HOUR)


@settings(deadline=None)
@given(moments, st.integers(1, 500), st.sampled_from(Bucket))
def test_buckets_cover_a_period_without_gaps(start: datetime, hours: int, bucket: Bucket) -> None:
    period = Period.of(start, start + timedelta(hours=hours), now=NOW)
    starts = list(period.buckets(bucket))
    assert starts[0] <= period.start < starts[0] + bucket.length
    assert starts[-1] < period.end <= starts[-1] + bucket.length
    assert all(later - earlier == bucket.length for earlier, later in pairwise(starts))


@settings(deadline=None)
@given(moments, st.sampled_from([1, 10, 60, 3600]))
def test_a_moment_lies_in_its_slot_and_the_next_slot_is_ahead(moment: datetime, seconds: int) -> None:
    period = timedelta(seconds=seconds)
    slot = slot_of(moment, period)
    assert slot <= moment < slot + period
    assert slot_of(slot, period) == slot
    assert 0 < until_next(moment, period) <= seconds


def test_money_is_converted_at_a_dated_rate_in_either_direction() -> None:
    money = [_money("cash", "EUR", "8"), _money("cash", "USD", "10")]
    assert Valuation.of([EURO_DOLLAR], "EUR").convert(money).sums["cash"] == Decimal(16)
    assert Valuation.of([EURO_DOLLAR], "USD").convert(money).sums["cash"] == Decimal(20)


def test_money_without_a_rate_is_named_and_left_out() -> None:
    converted = Valuation.of([EURO_DOLLAR], "EUR").convert([_money("cash", "CHF", "5"), _money("compute", "EUR", "1")])
    assert (converted.sums, converted.cost) == ({"compute": Decimal(1)}, Decimal(1))
    assert [(rest.kind, rest.currency, rest.amount) for rest in converted.foreign] == [("cash", "CHF", Decimal(5))]


def test_an_automation_has_its_own_labour_rate_or_the_general_one() -> None:
    general = DatedRate("labour_hour", "*", Decimal(40), "EUR", NOW, "payroll")
    own = DatedRate("labour_hour", "claims", Decimal(50), "USD", NOW, "payroll")
    prices = Valuation.of([general, own, EURO_DOLLAR], "EUR")
    assert prices.labour("invoices") == (Decimal(40), (general,))
    assert prices.labour("claims") == (Decimal(40), (own, EURO_DOLLAR))
    assert Valuation.of([own], "EUR").labour("claims") is None
