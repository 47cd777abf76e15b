"""Rows of the sums that are read for a period: however it lies in hours, days, weeks and months, every fact counts once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.roi.grains import Grain, Run, Which, added, bookings, runs, runs_of_two
from services.roi.period import Period

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURS = st.integers(0, 24 * 100).map(lambda hours: BEGIN + hours * HOUR)
TAKEN_AWAY = {Which.BEYOND, Which.EXCESS}


class Fact(NamedTuple):
    """Full hours in which it happened and was booked."""

    happened: datetime
    booked: datetime


def counted(fact: Fact, found: list[Run]) -> int:
    """How often the rows that hold the fact are added, less how often they are taken away."""
    return sum(-1 if run.which in TAKEN_AWAY else 1 for run in found if _holds(run, fact))


def _holds(run: Run, fact: Fact) -> bool:
    period, booked = (run.grain.start(moment) for moment in fact)
    return run.start <= period < run.end and run.booked_from <= booked < run.booked_to


@st.composite
def periods(draw: st.DrawFn) -> Period:
    start = draw(HOURS)
    return Period(start, start + draw(st.integers(1, 24 * 90)) * HOUR)


@given(periods(), st.sampled_from(list(Grain)), st.none() | HOURS, st.lists(st.tuples(HOURS, HOURS), min_size=30), st.booleans())
def test_every_fact_of_the_period_counts_once_and_no_other_does(  # everything that the rows depend on
    period: Period,
    coarsest: Grain,
    before: datetime | None,
    facts: list[tuple[datetime, datetime]],
    unfinished: bool,  # noqa: FBT001  # drawn
) -> None:
    found = runs(period, coarsest, before, unfinished=unfinished)
    for fact in [
        *map(Fact._make, facts),
        Fact(period.start, period.start),
        Fact(period.end, period.start),
        Fact(period.end - HOUR, period.end),
    ]:
        wanted = period.start <= fact.happened < period.end and (before is None or fact.booked < before)
        assert counted(fact, found) == wanted, fact
    assert all(run.grain is Grain.HOUR or list(Grain).index(run.grain) <= list(Grain).index(coarsest) for run in found)


@given(periods(), HOURS, st.none() | HOURS, st.lists(st.tuples(HOURS, HOURS), min_size=30), st.booleans())
def test_what_two_moments_know_counts_once_for_each_that_knows_it(
    period: Period,
    earlier: datetime,
    later: datetime | None,
    facts: list[tuple[datetime, datetime]],
    unfinished: bool,  # noqa: FBT001  # drawn
) -> None:
    earlier = earlier if later is None else min(earlier, later)
    found = runs_of_two(period, earlier, later, unfinished=unfinished)
    for fact in [*map(Fact._make, facts), Fact(period.start, earlier - HOUR), Fact(period.start, earlier), Fact(period.end, period.start)]:
        inside = period.start <= fact.happened < period.end
        then = [run for run in found if run.grain.start(fact.booked) < run.known_to]
        assert counted(fact, then) == (inside and fact.booked < earlier), fact
        assert counted(fact, [run for run in found if run.later]) == (inside and (later is None or fact.booked < later)), fact


@given(periods(), st.none() | HOURS, st.lists(st.tuples(HOURS, HOURS), min_size=30))
def test_what_can_only_be_added_up_counts_once_by_whole_days(
    period: Period, before: datetime | None, facts: list[tuple[datetime, datetime]]
) -> None:
    days = Period(Grain.DAY.start(period.start), Grain.DAY.up(period.end))
    day = None if before is None else Grain.DAY.start(before)
    found = added(days, day)
    assert not {run.which for run in found} & TAKEN_AWAY
    assert Grain.HOUR not in {run.grain for run in found}
    for fact in [*map(Fact._make, facts), Fact(days.start, days.start), Fact(days.end, days.start), Fact(days.end - HOUR, days.end)]:
        assert counted(fact, found) == (days.start <= fact.happened < days.end and (day is None or fact.booked < day)), fact


@given(HOURS, st.lists(st.tuples(HOURS, HOURS), min_size=30))
def test_what_was_booked_before_a_moment_counts_once_whenever_it_happened(before: datetime, facts: list[tuple[datetime, datetime]]) -> None:
    found = bookings(before)
    for fact in [*map(Fact._make, facts), Fact(before, before - HOUR), Fact(BEGIN, before)]:
        assert counted(fact, found) == (fact.booked < before), fact


@pytest.mark.parametrize("hour", [9, 19])
def test_what_was_known_late_on_a_day_is_that_day_without_its_last_hours(hour: int) -> None:
    moment = datetime(2026, 3, 10, hour, tzinfo=UTC)
    found = runs(Period(BEGIN, moment + HOUR), Grain.MONTH, moment, unfinished=True)
    hours = sum((run.end - run.start) // HOUR for run in found if run.grain is Grain.HOUR and run.which is Which.ALL)
    excess = sum((run.booked_to - run.booked_from) // HOUR for run in found if run.which is Which.EXCESS and run.grain is Grain.HOUR)
    # The weeks and days before it are told apart by their booking only.
    assert (hours, excess) == ((10, 0) if hour == 9 else (0, 5))


def test_what_is_not_over_is_read_by_month() -> None:
    found = runs(Period(BEGIN, datetime(2026, 3, 27, 14, tzinfo=UTC)), Grain.MONTH, None, unfinished=True)
    assert {run.grain for run in found if run.which is Which.ALL} == {Grain.MONTH}
