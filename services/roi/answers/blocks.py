"""A measured period cut into whole weeks, or days where there are too few weeks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from services.roi import figures
from services.roi.buckets import Placed, begun, seconds_of
from services.roi.figures import Account
from services.roi.period import Bucket, Period
from shared.measure.projection import LEAST_BLOCKS, Baselined

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks of equal length, oldest first.

    Attributes:
        places: which of them a day is in, by its start; days outside every block are not there.
        size: how many.
    """

    name: Literal["week", "day"] | None
    length: timedelta
    places: Mapping[int, int]
    size: int

    @classmethod
    def of(cls, first: datetime | None, period: Period, now: datetime) -> Blocks:
        """Counted back from the end of the last whole day, so that the newest days are in.

        Args:
            first: bucket of the first fact, a day's start; None without any.
        """
        if first is None:
            return cls(None, DAY, {}, 0)
        begin = max(first, next_day(period.start))
        end = Bucket.DAY.start(min(period.end, now))
        days = max((end - begin) // DAY, 0)
        if days // 7 >= LEAST_BLOCKS:
            return cls("week", 7 * DAY, _places(end, days // 7, 7), days // 7)
        return cls("day" if days else None, DAY, _places(end, days, 1), days)


def _places(end: datetime, count: int, days: int) -> dict[int, int]:
    starts = seconds_of(end - DAY * number for number in range(count * days, 0, -1))
    return {start: number // days for number, start in enumerate(starts)}


def next_day(moment: datetime) -> datetime:
    """Its start, or the moment itself where that is one."""
    start = Bucket.DAY.start(moment)
    return start if start == moment else start + DAY


def first_day(accounts: Sequence[Account]) -> datetime | None:
    """Of the first decided case: before it nothing ran."""
    first = min((start for account in accounts for start in begun(account.buckets)[:1]), default=None)
    return None if first is None else datetime.fromtimestamp(first, UTC)


def saved_in(account: Account, inside: Placed) -> list[float] | None:
    """Seconds saved in each block, by the baselines of the whole period; None where a block cannot be estimated."""
    found = figures.cut(account, inside, inside.seconds.shape[1])
    return [float(point) for point in found.point] if len(found.point) and found.known.all() else None


def baselined(account: Account, inside: Placed) -> list[Baselined] | None:
    """The groups of strata that the blocks were compared with; None where one has no spread."""
    sums: dict[str, int] = {}
    for row, cases in zip(account.buckets, (inside.human + inside.automatic).sum(axis=1), strict=True):
        if cases:
            group = account.fitted.group_of(row.stratum)
            sums[group] = sums.get(group, 0) + int(cases)
    found = []
    for group, cases in sums.items():
        baseline = account.fitted.baselines.get(group)
        if baseline is None:
            continue
        if baseline.variance is None or baseline.n < 2:
            return None
        found.append(Baselined(cases, baseline.variance, baseline.n))
    return found
