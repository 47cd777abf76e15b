"""Which rows of the sums make up a period as known at a moment: months where they are whole, weeks, days and hours at its ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.roi.period import Period

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


_INTO_THE_NEXT = {
    Grain.HOUR: timedelta(hours=1),
    Grain.DAY: timedelta(days=1),
    Grain.WEEK: timedelta(days=7),
    Grain.MONTH: timedelta(days=31),
}


@dataclass(frozen=True, slots=True)
class Run:
    """Rows of one grain with ``start <= period < end`` and ``booked_from <= booked < booked_to``.

    Attributes:
        late: few of the rows of those periods: better found by their booking.
    """

    grain: Grain
    start: datetime
    end: datetime
    booked_from: datetime
    booked_to: datetime
    late: bool = False


def runs(period: Period, coarsest: Grain, as_of: datetime | None) -> list[Run]:
    """Every fact of the period that was booked before the hour of ``as_of`` is in exactly one of the runs.

    Args:
        coarsest: buckets of an answer must not be finer.
        as_of: None takes everything.
    """
    found = [run for grain, start, end in _spans(period.start, period.end, coarsest) for run in _known(grain, start, end, as_of)]
    return [run for run in found if run.start < run.end and run.booked_from < run.booked_to]


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


def _known(grain: Grain, start: datetime, end: datetime, as_of: datetime | None) -> Iterator[Run]:
    """What was booked in whole weeks or months before the moment, in whole days since, and in whole hours since."""
    if as_of is None:
        yield Run(grain, start, end, ALWAYS, NEVER)
        return
    yield Run(grain, start, end, ALWAYS, grain.start(as_of))
    while grain is not Grain.HOUR:
        finer = _FINER[grain]
        yield Run(finer, start, end, grain.start(as_of), finer.start(as_of), late=True)
        grain = finer


_SHORTER = {Grain.MONTH: Grain.WEEK, Grain.WEEK: Grain.DAY, Grain.DAY: Grain.HOUR}
# Weeks do not fit into months, days fit into both.
_FINER = {Grain.MONTH: Grain.DAY, Grain.WEEK: Grain.DAY, Grain.DAY: Grain.HOUR}
