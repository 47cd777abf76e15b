"""A measured period cut into whole weeks, or days where there are too few weeks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.roi import figures
from services.roi.facts import Sum, by_bucket
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

    def split(self, rows: Iterable[Sum]) -> list[list[Sum]]:
        """Rows by day, gathered by block; those outside every block are left out."""
        days = by_bucket(rows)
        steps = [DAY * number for number in range(self.length // DAY)]
        return [[row for step in steps for row in days.get(start + step, [])] for start in self.starts]

    def inside(self, rows: Iterable[Sum]) -> list[Sum]:
        return [row for block in self.split(rows) for row in block]


def _starts(end: datetime, length: timedelta, count: int) -> tuple[datetime, ...]:
    return tuple(end - length * number for number in range(count, 0, -1))


def _up(moment: datetime) -> datetime:
    start = Bucket.DAY.start(moment)
    return start if start == moment else start + DAY


def first_day(accounts: Sequence[Account]) -> datetime | None:
    """Of the first decided case: before it nothing ran."""
    return min((row.bucket for account in accounts for row in account.buckets if row.bucket is not None), default=None)


def saved_in(account: Account, blocks: Blocks) -> list[float] | None:
    """Seconds saved in each block, by the baselines of the whole period; None where a block cannot be estimated."""
    found = [figures.saved_seconds(account, block) for block in blocks.split(account.buckets)]
    known = [seconds for seconds in found if seconds is not None]
    return known if len(known) == len(found) and known else None


def baselined(account: Account, blocks: Blocks) -> list[Baselined] | None:
    """The groups of strata that the blocks were compared with; None where one has no spread."""
    sums: dict[str, int] = {}
    for row in blocks.inside(account.buckets):
        if row.automated.n:
            group = account.fitted.group_of(row.stratum)
            sums[group] = sums.get(group, 0) + row.automated.n
    found = []
    for group, cases in sums.items():
        baseline = account.fitted.baselines.get(group)
        if baseline is None:
            continue
        if baseline.variance is None or baseline.n < 2:
            return None
        found.append(Baselined(cases, baseline.variance, baseline.n))
    return found
