"""Sums of a period bucket by bucket, and where in an answer their buckets belong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import accumulate, chain, pairwise
from typing import NamedTuple

import numpy as np

from shared.measure.baselines import Moments
from shared.measure.mixture import Floats

_NOTHING = Decimal(0)


class BucketSums(NamedTuple):
    """Decided cases of one stratum that were drawn with one control share, bucket by bucket, and the human seconds on them.

    A period as a whole is one bucket.

    Attributes:
        buckets: starts, in seconds since 1970, in no order; one may stand there twice, and something of it be taken away again. The next
            four are of the same length.
        control: cases of the control arm.
        human, automatic: cases of the automated arm that a person decided, and the others.
        seconds: of the automated arm.
        control_seconds, control_squares: of the control arm in all buckets together, with the sum of their squares.
        gain, variance: of the always-valid estimate, in all buckets together; None where nobody asked for bounds.
    """

    automation: str
    stratum: str
    share: Decimal
    buckets: list[int]
    control: list[int]
    human: list[int]
    automatic: list[int]
    seconds: list[float]
    control_seconds: Decimal
    control_squares: Decimal
    gain: Decimal | None = None
    variance: Decimal | None = None

    @property
    def control_moments(self) -> Moments:
        return Moments(sum(self.control), float(self.control_seconds), float(self.control_squares))

    def arms(self) -> Iterator[ArmSum]:
        """All buckets together, where bounds were asked for; gain and variance of both arms stand with the control arm."""
        if self.gain is not None and self.variance is not None:
            control = sum(self.control)
            yield ArmSum("control", self.stratum, self.share, control, self.control_seconds, self.gain, self.variance)
            automated = sum(self.human) + sum(self.automatic)
            yield ArmSum("automated", self.stratum, self.share, automated, Decimal(repr(sum(self.seconds))), _NOTHING, _NOTHING)


class ArmSum(NamedTuple):
    """Decided cases of a period that were drawn with one control share: what the always-valid interval is made of."""

    arm: str
    stratum: str
    share: Decimal
    cases: int
    seconds: Decimal
    gain: Decimal
    variance: Decimal


class Placed(NamedTuple):
    """As in `BucketSums`, each of shape (rows, places)."""

    control: Floats
    human: Floats
    automatic: Floats
    seconds: Floats


def placed(rows: Sequence[BucketSums], places: Mapping[int, int], size: int) -> Placed:
    """Added up by place; all rows at once, because each has few buckets.

    Args:
        places: which of ``size`` places a bucket belongs to, by its start, in their order; the others are left out.
    """
    starts, known = _flat([row.buckets for row in rows]), _flat([list(places)])
    found = np.searchsorted(known, starts)
    # One more of each, for what is after all of them.
    there = np.append(known, np.inf)[found] == starts
    where = np.where(there, np.append(np.fromiter(places.values(), np.intp), size)[found], size)
    where += np.repeat(np.arange(len(rows)) * (size + 1), [len(row.buckets) for row in rows])
    sums = (np.bincount(where, _flat(column), len(rows) * (size + 1)) for column in _columns(rows))
    return Placed(*(np.asarray(column, np.float64).reshape(len(rows), size + 1)[:, :size] for column in sums))


def placed_apart(groups: Sequence[Sequence[BucketSums]], places: Mapping[int, int], size: int) -> Iterator[Placed]:
    """As `placed`, of each group."""
    every = placed([row for rows in groups for row in rows], places, size)
    ends = list(accumulate((len(rows) for rows in groups), initial=0))
    return (Placed(*(column[start:end] for column in every)) for start, end in pairwise(ends))


def begun(rows: Sequence[BucketSums]) -> list[int]:
    """Starts of the buckets with cases, in their order."""
    starts, places = np.unique(_flat([row.buckets for row in rows]), return_inverse=True)
    cases = sum((np.bincount(places, _flat(column)) for column in _columns(rows)[:3]), start=np.zeros(len(starts)))
    return [int(start) for start in starts[cases > 0]]


def _columns(rows: Sequence[BucketSums]) -> tuple[list[Sequence[float]], ...]:
    return [row.control for row in rows], [row.human for row in rows], [row.automatic for row in rows], [row.seconds for row in rows]


def _flat(lists: Iterable[Iterable[float]]) -> Floats:
    return np.fromiter(chain.from_iterable(lists), np.float64)


class MoneyBuckets(NamedTuple):
    """Ledger lines with an amount, net of reversals, bucket by bucket. Attributes: buckets: as in `BucketSums`."""

    automation: str
    kind: str
    grade: str
    currency: str
    buckets: list[int]
    amounts: list[Decimal]

    def by_bucket(self) -> dict[int, Decimal]:
        found = dict(zip(self.buckets, self.amounts, strict=True))
        if len(found) == len(self.buckets):
            return found
        sums: dict[int, Decimal] = {}
        for bucket, amount in zip(self.buckets, self.amounts, strict=True):
            sums[bucket] = sums.get(bucket, _NOTHING) + amount
        return sums


def seconds_of(starts: Iterable[datetime]) -> list[int]:
    """Since 1970, of aware starts of buckets."""
    return [int(start.timestamp()) for start in starts]
