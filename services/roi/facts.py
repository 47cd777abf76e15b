"""Sums as the roll-ups hold them: what the figures are computed from."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, TypeVar

from shared.measure.baselines import Baseline, Moments


class CaseSum(NamedTuple):
    """Decided cases; ``bucket`` is None where the whole period is one."""

    automation: str
    arm: str
    stratum: str
    tier: str
    bucket: datetime | None
    cases: int
    seconds: Decimal
    squares: Decimal

    @property
    def moments(self) -> Moments:
        return Moments(self.cases, float(self.seconds), float(self.squares))


class MoneySum(NamedTuple):
    """Ledger lines with an amount, net of reversals."""

    automation: str
    arm: str
    kind: str
    grade: str
    currency: str
    bucket: datetime | None
    amount: Decimal


class DatedRate(NamedTuple):
    """The newest rate of its name and automation at the end of the period."""

    name: str
    automation: str
    value: Decimal
    currency: str | None
    valid_from: datetime
    source: str


class StoredBaseline(NamedTuple):
    """The newest baseline of an automation and stratum at the end of the period."""

    automation: str
    stratum: str
    baseline: Baseline


class Queue(NamedTuple):
    """What came to people in a period, and what waits for them now.

    Attributes:
        arrived: cases received in the period that needed a person, decided by one or not.
        first: first hour of the period with a record; None without any.
        waiting, others: open reviews of cases that wait for them, and of decided ones (audits, rework).
        oldest: when the oldest of all these was opened.
    """

    automation: str
    arrived: int
    first: datetime | None
    waiting: int
    others: int
    oldest: datetime | None


class Tally(NamedTuple):
    """Everything that an answer about one period is computed from, as of one moment."""

    cases: list[CaseSum]
    money: list[MoneySum]
    baselines: list[StoredBaseline]
    rates: list[DatedRate]
    currency: str
    rolled_at: datetime


Sum = TypeVar("Sum", CaseSum, MoneySum)


def by_bucket(rows: Iterable[Sum]) -> dict[datetime | None, list[Sum]]:
    buckets: dict[datetime | None, list[Sum]] = {}
    for row in rows:
        buckets.setdefault(row.bucket, []).append(row)
    return buckets
