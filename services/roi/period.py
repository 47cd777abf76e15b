"""Periods and the buckets that they are cut into, in whole hours of UTC."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from shared.errors import Rejected

HOUR = timedelta(hours=1)
LEAST = timedelta(microseconds=1)
# Of a question about what comes, or about what was booked lately.
RECENT = timedelta(days=30)
LONGEST = timedelta(days=800)
# An answer stays small enough to draw.
MOST_BUCKETS = 1000
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class BadPeriod(Rejected):
    """The period cannot be answered."""

    code = "bad_period"


class Bucket(StrEnum):
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    """Begins on Monday, 00:00 UTC."""

    @property
    def length(self) -> timedelta:
        return {Bucket.HOUR: HOUR, Bucket.DAY: timedelta(days=1), Bucket.WEEK: timedelta(weeks=1)}[self]

    def start(self, moment: datetime) -> datetime:
        """Start of the bucket that an aware UTC moment is in."""
        hour = moment.replace(minute=0, second=0, microsecond=0)
        match self:
            case Bucket.HOUR:
                return hour
            case Bucket.DAY:
                return hour.replace(hour=0)
            case Bucket.WEEK:
                return hour.replace(hour=0) - timedelta(days=hour.weekday())


def quarter(moment: datetime) -> datetime:
    """Start of the calendar quarter of an aware UTC moment."""
    return datetime(moment.year, moment.month - (moment.month - 1) % 3, 1, tzinfo=UTC)


def in_range(moment: datetime) -> bool:
    """Whether an aware moment is in the years 2000 to 2199, the only ones that are answered about."""
    return _FIRST <= moment < _LAST


def moment(as_of: datetime | None, now: datetime) -> datetime:
    """The moment that an answer is given at: that which was asked for, or now.

    Raises:
        BadPeriod: it is still to come, or before the year 2000.
    """
    if as_of is None:
        return now
    if not _FIRST <= as_of <= now:
        raise BadPeriod("`as_of` must be a moment since the year 2000 that is over.")
    return as_of.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Period:
    """``start <= hour < end``, both at full hours of UTC."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, start: datetime | None, end: datetime | None, *, now: datetime, default: timedelta | None = None) -> Period:
        """Widened to whole hours; without an end until the end of this hour.

        Args:
            default: length without a start; None begins with the calendar quarter of the last hour, so that whoever looks again and again
                looks at one and the same start: only then an always-valid interval is what its name says.

        Raises:
            BadPeriod: it is empty, too long, or outside the years 2000 to 2199.
        """
        last = _up((end or now).astimezone(UTC)) if end is None or in_range(end) else None
        if last is None or (start is not None and not in_range(start)):
            raise BadPeriod("`from` and `to` must lie between the years 2000 and 2199.")
        first = Bucket.HOUR.start(start.astimezone(UTC)) if start is not None else _begin(last, default)
        if first >= last:
            raise BadPeriod("`from` must be before `to`.")
        if last - first > LONGEST:
            raise BadPeriod(f"A period may have {LONGEST.days} days at most.")
        return cls(first, last)

    @property
    def last(self) -> datetime:
        """Its last microsecond: what holds from its end on holds for the next period."""
        return self.end - LEAST

    def in_days(self) -> Period:
        """Widened to whole days of UTC."""
        last = Bucket.DAY.start(self.end)
        return Period(Bucket.DAY.start(self.start), last if last == self.end else last + Bucket.DAY.length)

    def buckets(self, bucket: Bucket) -> Iterator[datetime]:
        """Starts of every bucket that the period touches."""
        first, length = bucket.start(self.start), bucket.length
        while first < self.end:
            yield first
            first += length

    def refuse_too_many(self, bucket: Bucket) -> None:
        """Raises BadPeriod where there are more buckets than an answer may have."""
        if (self.end - bucket.start(self.start)) / bucket.length > MOST_BUCKETS:
            raise BadPeriod(f"The period has more than {MOST_BUCKETS} buckets; ask for longer buckets or a shorter period.")


def _begin(end: datetime, length: timedelta | None) -> datetime:
    return quarter(end - HOUR) if length is None else end - length


def _up(moment: datetime) -> datetime:
    start = Bucket.HOUR.start(moment)
    return start if start == moment else start + HOUR
