"""Which rows of the sums make up a period as known at a moment: months where they are whole, weeks, days and hours at its ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.roi.period import Period

    Cut = Callable[["Grain", datetime], datetime]

ALWAYS = datetime(1900, 1, 1, tzinfo=UTC)
NEVER = datetime(9000, 1, 1, tzinfo=UTC)


class Grain(StrEnum):
    """Finest first."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    """Begins on Monday, 00:00 UTC."""
    MONTH = "month"

    def start(self, moment: datetime) -> datetime:
        """Start of the hour, day, week or month that an aware UTC moment is in."""
        hour = moment.replace(minute=0, second=0, microsecond=0)
        match self:
            case Grain.HOUR:
                return hour
            case Grain.DAY:
                return hour.replace(hour=0)
            case Grain.WEEK:
                return hour.replace(hour=0) - timedelta(days=hour.weekday())
            case Grain.MONTH:
                return hour.replace(hour=0, day=1)

    def up(self, moment: datetime) -> datetime:
        """The first start that is not before the moment."""
        start = self.start(moment)
        if start == moment:
            return start
        return self.start(start + _INTO_THE_NEXT[self])

    def nearest(self, moment: datetime) -> datetime:
        """The start that is next to the moment, before or after it."""
        before, after = self.start(moment), self.up(moment)
        return after if after - moment < moment - before else before


_INTO_THE_NEXT = {
    Grain.HOUR: timedelta(hours=1),
    Grain.DAY: timedelta(days=1),
    Grain.WEEK: timedelta(days=7),
    Grain.MONTH: timedelta(days=31),
}


def nearest_hour(moment: datetime) -> datetime:
    """The full hour next to an aware UTC moment, before or after it."""
    return Grain.HOUR.start(moment + timedelta(minutes=30))


def starts(as_of: datetime | None) -> Mapping[str, datetime]:
    """Values of a statement about an aware UTC moment: itself, and the starts of the month, day and hour it is in; none without one."""
    if as_of is None:
        return {}
    return {"as_of": as_of, **{grain.value: grain.start(as_of) for grain in (Grain.MONTH, Grain.DAY, Grain.HOUR)}}


class Which(StrEnum):
    """How the rows of a run are found, and what they count for."""

    ALL = "all"
    """Most or all rows of those periods."""
    LATE = "late"
    """Few of them: better found by their booking."""
    BEYOND = "beyond"
    """After the end of what is asked for: to be taken away."""
    EXCESS = "excess"
    """Booked after what is asked for: to be taken away; found by their booking."""


@dataclass(frozen=True, slots=True)
class Run:
    """Rows of one grain with ``start <= period < end`` and ``booked_from <= booked < booked_to``.

    Attributes:
        known_to, later: where two moments are asked about, rows that were booked before the one are known at the earlier moment, and the
            other says whether they are known at the later one.
        after: part of what lies after the boundary of a period that is cut in two.
    """

    grain: Grain
    start: datetime
    end: datetime
    booked_from: datetime
    booked_to: datetime
    which: Which = Which.ALL
    known_to: datetime = NEVER
    later: bool = True
    after: bool = False


def runs(period: Period, coarsest: Grain, booked_before: datetime | None, *, unfinished: bool = False) -> list[Run]:
    """Runs that every fact of the period is in exactly once, and every other fact as often as it is taken away.

    Args:
        coarsest: buckets of an answer must not be finer.
        booked_before: full hour from which on bookings are left out; None takes everything.
        unfinished: hardly anything that is asked for lies beyond the period's end.
    """
    end = _end(period, coarsest, booked_before, unfinished=unfinished) if period.start < period.end else period.end
    found = [
        run
        for grain, first, last in _spans(period.start, end, coarsest)
        for run in _known(grain, first, last, booked_before, Grain.nearest, over=period.end < last)
    ]
    beyond = Run(Grain.HOUR, period.end, end, ALWAYS, booked_before or NEVER, Which.BEYOND)
    return _joined([*found, beyond])


def runs_of_two(period: Period, earlier: datetime, later: datetime | None, *, unfinished: bool = False) -> list[Run]:
    """As `runs` at each of two moments, but what is known at both is read once.

    Args:
        earlier, later: full hours from which on bookings are left out; None takes everything.
        unfinished: as in `runs`, of the later moment.
    """
    if period.start >= period.end:
        return []
    end = _end(period, Grain.MONTH, later, unfinished=unfinished)
    found = [Run(Grain.HOUR, period.end, end, ALWAYS, later or NEVER, Which.BEYOND, known_to=earlier)]
    for grain, first, last in _spans(period.start, end, Grain.MONTH):
        every, *since = _known(grain, first, last, later, Grain.nearest)
        found += [replace(every, known_to=grain.nearest(earlier)), *(replace(run, known_to=ALWAYS) for run in since)]
        found += [replace(run, later=False) for run in list(_known(grain, first, last, earlier, Grain.nearest))[1:]]
    return _joined(found)


def added(period: Period, before: datetime | None) -> list[Run]:
    """As `runs`, but none is taken away: the least of several is no sum.

    Args:
        period: of whole days.
        before: start of the day from which on bookings are left out; None takes everything.
    """
    spans = _spans(period.start, period.end, Grain.MONTH)
    return _joined(run for grain, first, last in spans for run in _known(grain, first, last, before, Grain.start))


def bookings(before: datetime) -> list[Run]:
    """Runs of all that was booked before a full hour, whenever it happened; what is taken away was booked on the rest of that day."""
    end = max(before, Grain.DAY.nearest(before))
    found = [Run(grain, ALWAYS, NEVER, first, last, Which.LATE) for grain, first, last in _spans(ALWAYS, end, Grain.MONTH)]
    return _joined([*found, Run(Grain.HOUR, ALWAYS, NEVER, before, end, Which.EXCESS)])


def _joined(found: Iterable[Run]) -> list[Run]:
    """Neighbours of one grain and booking are one: whatever is found by its booking would be looked through for each of them."""
    joined: list[Run] = []
    some = (run for run in found if run.start < run.end and run.booked_from < run.booked_to)
    for run in sorted(some, key=lambda run: (run.which, run.grain, run.later, run.booked_from, run.booked_to, run.start)):
        last = joined[-1] if joined else None
        if last is not None and replace(last, start=run.start, end=run.end) == run and last.end == run.start:
            joined[-1] = replace(last, end=run.end)
        else:
            joined.append(run)
    return joined


def _end(period: Period, coarsest: Grain, before: datetime | None, *, unfinished: bool) -> datetime:
    """Where less has to be read than up to the period's end: where more of a day, or of a week, is over than is to come."""
    end, nothing_beyond = period.end, unfinished or period.end == before
    if before is None and unfinished:
        return coarsest.up(end)
    if coarsest is Grain.HOUR or not (before is None or nothing_beyond):
        return end
    if before is not None and coarsest is not Grain.DAY and before - Grain.WEEK.start(before) > timedelta(days=3.5):
        return Grain.WEEK.up(end)
    return Grain.DAY.up(end) if end - Grain.DAY.start(end) > timedelta(hours=12) else end


def _spans(start: datetime, end: datetime, grain: Grain) -> Iterator[tuple[Grain, datetime, datetime]]:
    """The period in as few pieces as there can be."""
    if grain is Grain.HOUR:
        yield grain, start, end
        return
    first, last = grain.up(start), grain.start(end)
    if first >= last:
        yield from _spans(start, end, _SHORTER[grain])
        return
    yield grain, first, last
    yield from _spans(start, first, _SHORTER[grain])
    yield from _spans(last, end, _SHORTER[grain])


def _known(grain: Grain, start: datetime, end: datetime, before: datetime | None, cut: Cut, *, over: bool = False) -> Iterator[Run]:
    """What was booked in whole weeks or months, and what days and hours are to be added to it or taken away.

    Args:
        cut: start of the month, day or hour up to which those are taken that the moment is among; by `Grain.start` nothing is taken away.
        over: take what was booked until the end of the week or day that the moment is in.
    """
    if before is None:
        yield Run(grain, start, end, ALWAYS, NEVER)
        return
    until = grain.up(before) if over else cut(grain, before)
    yield Run(grain, start, end, ALWAYS, until)
    while grain is not Grain.HOUR:
        grain = _FINER[grain]
        then = cut(grain, before)
        if until <= then:
            yield Run(grain, start, end, until, then, Which.LATE)
        else:
            yield Run(grain, start, end, then, until, Which.EXCESS)
        until = then


_SHORTER = {Grain.MONTH: Grain.WEEK, Grain.WEEK: Grain.DAY, Grain.DAY: Grain.HOUR}
# Weeks do not fit into months, days fit into both.
_FINER = {Grain.MONTH: Grain.DAY, Grain.WEEK: Grain.DAY, Grain.DAY: Grain.HOUR}
