"""Bounds as they are shown never claim more than was computed: in the API, in what business systems are told, and in what a person sees."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from services.roi import figures, valuation
from services.roi.answers import capacity
from services.roi.answers.capacity import Desk, Measured
from services.roi.facts import Queue
from services.roi.schemas import Cases, Interval, Point
from services.steward import braking, telling
from services.steward.repository.telling import DaySum
from shared.measure.baselines import Moments
from shared.measure.error_rate import AuditSums, error_rate
from shared.measure.parts import Ends
from shared.measure.rounding import at_least, at_most, outwards
from shared.measure.savings import Estimate
from shared.measure.sequence import Bounds, bounds, progress

NOW = datetime(2026, 3, 4, 10, 30, tzinfo=UTC)
ends = st.floats(-1e9, 1e9).flatmap(lambda low: st.tuples(st.just(low), st.floats(0, 1e6)))


def _estimate(low: float, width: float) -> Estimate:
    return Estimate(10, 10, low + width / 2, low, low + width, None, None)


def _exact(value: float | None) -> Decimal:
    assert value is not None
    return Decimal(repr(value))


@given(st.decimals(-(10**9), 10**9, places=9), st.sampled_from([Decimal(1), Decimal("0.01"), Decimal("1e-6")]))
def test_a_bound_is_off_by_less_than_a_step_and_only_outwards(value: Decimal, step: Decimal) -> None:
    assert value - step < at_least(value, step) <= value <= at_most(value, step) < value + step
    shown = outwards((value, None, value), step)
    assert (shown["low"], shown["point"], shown["high"]) == (at_least(value, step), None, at_most(value, step))


def test_what_needs_no_rounding_stays_as_it_is() -> None:
    assert (at_least(0.3, Decimal("0.001")), at_most(0.3, Decimal("0.001"))) == (Decimal("0.300"), Decimal("0.300"))
    third = Decimal("0.3")
    assert figures.interval(Estimate(1, 1, 0.3, 0.3, 0.3, None, None)) == Interval(third, third, third)


@given(ends)
def test_seconds_and_hours_of_an_interval_cover_no_less_than_it(found: tuple[float, float]) -> None:
    estimate = _estimate(*found)
    low, high = _exact(estimate.low), _exact(estimate.high)
    seconds = figures.interval(estimate)
    assert (seconds.low, seconds.high) == (at_least(low, Decimal("0.001")), at_most(high, Decimal("0.001")))
    saved = figures.saved(estimate, estimate.floor, Bounds(found[0], estimate.point or 0.0, found[0] + found[1]))
    assert saved.always_valid is not None
    for shown in (saved.hours, saved.always_valid):
        assert (shown.low or 0) * 3600 <= low
        assert (shown.high or 0) * 3600 >= high
    assert saved.at_least_hours * 3600 <= low


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)), min_size=1, max_size=5))
def test_many_intervals_at_once_are_shown_as_each_would_be(found: list[tuple[float, float, float]]) -> None:
    columns = [np.array(column) for column in zip(*found, strict=True)]
    alone = [figures.interval(Estimate(1, 1, point, low, high, None, None)) for low, point, high in found]
    assert list(figures.intervals(Ends(*columns))) == alone
    nowhere = np.array([np.nan])
    assert list(figures.intervals(Ends(nowhere, nowhere, nowhere))) == [Interval(None, None, None)]


@pytest.mark.parametrize("value", ["0.000000", "0.000001", "-0.000001", "1234567890123456.789012", "1000000.000000"])
def test_what_pydantic_writes_of_points_has_no_exponent(value: str) -> None:
    amount, seconds = Decimal(value), Decimal(value[:-3])
    point = Point(NOW, Cases(1, 1, 0, 0), Interval(seconds, seconds, None), amount, amount)
    shown = json.loads(TypeAdapter(Point).dump_json(point))
    assert (shown["total_cost"], shown["cash"], shown["seconds"]["low"]) == (value, value, value[:-3])


@given(ends, st.decimals("0.01", 500, places=2))
def test_labour_value_at_least_is_never_more_than_the_hours_are_worth(found: tuple[float, float], hour: Decimal) -> None:
    estimate = _estimate(*found)
    value = valuation.labour_value(estimate, hour, estimate.floor, None)
    assert value.low is not None
    assert value.high is not None
    assert value.low <= _exact(estimate.low) / 3600 * hour
    assert value.high >= _exact(estimate.high) / 3600 * hour


def test_days_to_clear_the_queue_are_as_many_as_the_released_hours_need() -> None:
    desk = Desk("claims", _estimate(3 * 3600.0, 60.0), Decimal(7200), 2, Decimal(7200), Queue("claims", 0, 2, 0, None))
    shown = capacity.shown(desk, Measured(Decimal(7), NOW, arrivals=True))
    # Two hours of work wait, three are released in seven days: 4.666… days, and 0.428571… hours a day.
    assert (shown.released.days_to_clear, shown.released.hours_per_day.low) == (Decimal("4.667"), Decimal("0.428"))
    longer = capacity.shown(replace(desk, queue=desk.queue._replace(waiting=1)), Measured(Decimal(7), NOW, arrivals=True))
    assert longer.released.days_to_clear == Decimal("2.334"), "2.333… days would not do"


def test_business_systems_are_told_no_more_seconds_than_are_shown_for_certain() -> None:
    for scatter in range(7):
        sums = [
            DaySum("acme", "claims", arm, "s", Decimal("0.1"), *sums, Decimal("0.0001"), Decimal(1000 + scatter))
            for arm, sums in (
                ("control", (90, Decimal(9000), Decimal(910_000 + scatter))),
                ("automated", (810, Decimal(0), Decimal(0))),
            )
        ]
        held = bounds(progress(sums, {"s": Moments(90, 9000.0, 910_000.0 + scatter)}))
        assert held is not None
        low = telling.lower_bound(sums)
        assert low is not None
        assert low <= _exact(held.low) < low + Decimal("0.001")


def test_the_bounds_of_an_error_rate_cover_no_less_where_a_person_sees_them() -> None:
    for wrong in range(1, 8):
        sums = AuditSums(
            decisions=990,
            drawn=97,
            done=97,
            wrong=wrong,
            weighted=Decimal(10 * wrong),
            weighted_drawn=Decimal(970),
            weighted_done=Decimal(970),
            least=Decimal("0.1"),
        )
        rate = error_rate(sums)
        assert rate is not None
        shown = braking.shown(97, wrong, Decimal("0.05"), sums)["error_rate"]
        assert isinstance(shown, dict)
        assert rate.low - 1e-6 < shown["low"] <= rate.low
        assert rate.high <= shown["high"] < rate.high + 1e-6
