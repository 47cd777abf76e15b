"""A measured period cut into whole weeks, or days where there are too few weeks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.roi import figures
from services.roi.facts import MoneySum
from services.roi.figures import Account
from services.roi.period import Bucket, Period
from shared.measure.projection import LEAST_BLOCKS, Baselined

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Blocks:
    """Attributes: starts: of whole blocks, oldest first."""

    name: Literal["week", "day"] | None
    length: timedelta
    starts: tuple[datetime, ...]

    @classmethod
    def of(cls, first: datetime | None, period: Period, now: datetime) -> Blocks:
        """Counted back from the end of the last whole day, so that the newest days are in.

        Args:
            first: bucket of the first fact, a day's start; None without any.
        """
        if first is None:
            return cls(None, DAY, ())
        begin = max(first, _up(period.start))
        end = Bucket.DAY.start(min(period.end, now))
        days = max((end - begin) // DAY, 0)
        if days // 7 >= LEAST_BLOCKS:
            return cls("week", 7 * DAY, _starts(end, 7 * DAY, days // 7))
        return cls("day" if days else None, DAY, _starts(end, DAY, days))

    @property
    def places(self) -> dict[datetime, int]:
        """Which block a day is in; days outside every block are not there."""
        steps = [DAY * number for number in range(self.length // DAY)]
        return {start + step: place for place, start in enumerate(self.starts) for step in steps}

    def split(self, rows: Iterable[MoneySum]) -> list[list[MoneySum]]:
        """Rows by day, gathered by block; those outside every block are left out."""
        places = self.places
        found: list[list[MoneySum]] = [[] for _ in self.starts]
        for row in rows:
            if row.bucket is not None and row.bucket in places:
                found[places[row.bucket]].append(row)
        return found


def _starts(end: datetime, length: timedelta, count: int) -> tuple[datetime, ...]:
    return tuple(end - length * number for number in range(count, 0, -1))


def _up(moment: datetime) -> datetime:
    start = Bucket.DAY.start(moment)
    return start if start == moment else start + DAY


def first_day(accounts: Sequence[Account]) -> datetime | None:
    """Of the first decided case: before it nothing ran."""
    return min((bucket for account in accounts for row in account.buckets for bucket in row.buckets), default=None)


def saved_in(account: Account, blocks: Blocks) -> list[float] | None:
    """Seconds saved in each block, by the baselines of the whole period; None where a block cannot be estimated."""
    found = figures.cut(account, blocks.places, len(blocks.starts))
    return [float(point) for point in found.point] if len(found.point) and found.known.all() else None


def baselined(account: Account, blocks: Blocks) -> list[Baselined] | None:
    """The groups of strata that the blocks were compared with; None where one has no spread."""
    sums: dict[str, int] = {}
    places = blocks.places
    for row in account.buckets:
        inside = row.placed(places, len(blocks.starts))
        cases = int(inside.human.sum() + inside.automatic.sum())
        if cases:
            group = account.fitted.group_of(row.stratum)
            sums[group] = sums.get(group, 0) + cases
    found = []
    for group, cases in sums.items():
        baseline = account.fitted.baselines.get(group)
        if baseline is None:
            continue
        if baseline.variance is None or baseline.n < 2:
            return None
        found.append(Baselined(cases, baseline.variance, baseline.n))
    return found
