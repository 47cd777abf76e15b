"""Sums as the roll-ups hold them: what the figures are computed from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from services.roi.period import Bucket, Period
from shared.measure.baselines import Baseline, Grade, Moments
from shared.measure.error_rate import AuditSums
from shared.measure.mixture import Floats

# The tier of whatever a person decided.
HUMAN = "human"


class CaseSum(NamedTuple):
    """Decided cases of a period that were drawn with one control share.

    Attributes:
        source, model_version: empty unless they were asked for.
        late_seconds: those of the seconds that were booked after their case's decision.
        covariate, covariate2, covariate_seconds: sums of the covariate, its square and its product with the seconds.
        gain, variance: of the always-valid estimate.
    """

    automation: str
    arm: str
    stratum: str
    tier: str
    source: str
    model_version: str
    share: Decimal
    cases: int
    seconds: Decimal
    squares: Decimal
    late_seconds: Decimal
    covariate: Decimal
    covariate2: Decimal
    covariate_seconds: Decimal
    gain: Decimal
    variance: Decimal

    @property
    def moments(self) -> Moments:
        return Moments(self.cases, float(self.seconds), float(self.squares))


class BucketSums(NamedTuple):
    """Decided cases of one stratum that were drawn with one control share, bucket by bucket, and the human seconds on them.

    Attributes:
        buckets: starts, in no order; the next four are of the same length.
        control: cases of the control arm.
        human, automatic: cases of the automated arm that a person decided, and the others.
        seconds: of the automated arm.
        control_seconds, control_squares: of the control arm in all buckets together, with the sum of their squares.
    """

    automation: str
    stratum: str
    share: Decimal
    buckets: list[datetime]
    control: list[int]
    human: list[int]
    automatic: list[int]
    seconds: list[float]
    control_seconds: Decimal
    control_squares: Decimal

    def placed(self, places: Mapping[datetime, int], size: int) -> Placed:
        """Added up by place.

        Args:
            places: which of ``size`` places a bucket belongs to; the others are left out.
        """
        where = np.array([places.get(bucket, size) for bucket in self.buckets], dtype=np.intp)
        columns = (self.control, self.human, self.automatic, self.seconds)
        return Placed(*(np.bincount(where, column, size + 1)[:size].astype(np.float64) for column in columns))


class Placed(NamedTuple):
    """As in `BucketSums`, each of shape (places,)."""

    control: Floats
    human: Floats
    automatic: Floats
    seconds: Floats


class MoneySum(NamedTuple):
    """Ledger lines with an amount, net of reversals; ``reversed`` is the part of what corrects others: reversals, cash after rework.

    Attributes:
        bucket: None where the whole period is one.
    """

    automation: str
    arm: str
    kind: str
    grade: str
    currency: str
    bucket: datetime | None
    amount: Decimal
    reversed: Decimal


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


class Experiment(NamedTuple):
    """Cases of one automation that were drawn with one control share, since the first of them; see `shared.casework.experiment`."""

    automation: str
    share: Decimal
    drawn_control: int
    drawn_automated: int
    crossed_automated: int
    unclocked_control: int
    unclocked_automated: int
    reviews: int
    apart: int
    active: Decimal
    span: Decimal
    difference: Decimal
    beyond_span: Decimal


class Decided(NamedTuple):
    """Decided cases of all time, by what a draw is compared with."""

    automation: str
    arm: str
    stratum: str
    share: Decimal
    cases: int


class ScoreSum(NamedTuple):
    """Cases of one score, in hundredths; see `shared.models.rollups.score_sums`."""

    tier: str
    model_version: str
    proposed: str
    bin: int
    cases: int
    automatic: int
    reviewed: int
    reviewed_wrong: int
    auditable: int
    drawn: int
    audited: int
    audited_wrong: int
    weighted_wrong: Decimal
    least: Decimal | None


class Audited(NamedTuple):
    """Second looks at one automation's decisions. Attributes: limit: certified error rate; braked: now."""

    limit: Decimal
    braked: bool
    sums: AuditSums


class KnownBaseline(NamedTuple):
    """A stored baseline. Attributes: measured_from, measured_to: when the work was done that it rests on, where that is known."""

    automation: str
    stratum: str
    grade: Grade
    n: int
    mean: Decimal
    method: str
    valid_from: datetime
    expires_at: datetime
    measured_from: datetime | None
    measured_to: datetime | None


class Queue(NamedTuple):
    """What came to people in a period, and what waits for them now.

    Attributes:
        arrived: cases received in the period that needed a person, decided by one or not.
        waiting, others: open reviews of cases that wait for them, and of decided ones (audits, rework).
        oldest: when the oldest of all these was opened.
    """

    automation: str
    arrived: int
    waiting: int
    others: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a tally is about.

    Attributes:
        at: moment that baselines and rates hold for.
        as_of: leave out what was booked later; None takes everything that is in the sums.
        automation: None takes all.
        bucket: None sums the whole period.
        apart: attributes of cases to keep apart besides the usual ones: ``source``, ``model_version``.
        boundary: full hour at which the period is cut in two; only where there is no bucket.
    """

    tenant: str
    period: Period
    at: datetime
    as_of: datetime | None = None
    automation: str | None = None
    bucket: Bucket | None = None
    apart: frozenset[str] = frozenset()
    boundary: datetime | None = None

    @property
    def pieces(self) -> list[Period]:
        """The period, or its parts before and after the boundary."""
        if self.boundary is None:
            return [self.period]
        return [Period(self.period.start, self.boundary), Period(self.boundary, self.period.end)]


class Booked(NamedTuple):
    """Sums of one period, as of one moment; where it is cut in two, the bucket of what lies after the boundary is the boundary."""

    cases: list[CaseSum]
    money: list[MoneySum]


class Tally(NamedTuple):
    """Everything that an answer about one period is computed from, as of one moment.

    Attributes:
        cases: empty where buckets were asked for.
        buckets: the cases by bucket; empty where nobody asked for buckets.
    """

    cases: list[CaseSum]
    money: list[MoneySum]
    baselines: list[StoredBaseline]
    rates: list[DatedRate]
    currency: str
    rolled_at: datetime
    buckets: Sequence[BucketSums] = ()


def by_bucket(rows: Iterable[MoneySum]) -> dict[datetime | None, list[MoneySum]]:
    buckets: dict[datetime | None, list[MoneySum]] = {}
    for row in rows:
        buckets.setdefault(row.bucket, []).append(row)
    return buckets
