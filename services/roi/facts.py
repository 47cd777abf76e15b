"""Sums as the roll-ups hold them: what the figures are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from services.roi.buckets import BucketSums, MoneyBuckets
from services.roi.grains import nearest_hour
from services.roi.period import Bucket, Period
from shared.measure.baselines import Baseline, Grade, Moments
from shared.measure.error_rate import AuditSums

# The tier of whatever a person decided.
HUMAN = "human"


class CaseSum(NamedTuple):
    """Decided cases of a period that were drawn with one control share.

    Attributes:
        source, model_version: empty unless they were asked for.
        covariate, covariate2, covariate_seconds: sums of the covariate, its square and its product with the seconds.
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
    covariate: Decimal
    covariate2: Decimal
    covariate_seconds: Decimal

    @property
    def moments(self) -> Moments:
        return Moments(self.cases, float(self.seconds), float(self.squares))


class Moved(NamedTuple):
    """As much of `CaseSum` as is needed to say why figures moved."""

    automation: str
    arm: str
    stratum: str
    share: Decimal
    cases: int
    seconds: Decimal
    squares: Decimal
    late_seconds: Decimal

    @property
    def moments(self) -> Moments:
        return Moments(self.cases, float(self.seconds), float(self.squares))


class MoneySum(NamedTuple):
    """Ledger lines with an amount, net of reversals; ``reversed`` is the part of what corrects others: reversals, cash after rework."""

    automation: str
    arm: str
    kind: str
    grade: str
    currency: str
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
    weighted_drawn: Decimal
    weighted_audited: Decimal
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
        bounds: read what always-valid intervals are made of with the buckets, and the whole period as one where there is no bucket: that is
            much less than its cases by tier.
        money: read it.
    """

    tenant: str
    period: Period
    at: datetime
    as_of: datetime | None = None
    automation: str | None = None
    bucket: Bucket | None = None
    apart: frozenset[str] = frozenset()
    bounds: bool = False
    money: bool = True

    @property
    def booked_before(self) -> datetime | None:
        """The full hour next to the moment: between them facts are looked up one by one. None where all that is in the sums is known."""
        return None if self.as_of is None else nearest_hour(self.as_of)

    @property
    def unfinished(self) -> bool:
        """The period reaches over the moment that is asked about: so hardly anything that is known can lie beyond its end."""
        return self.at < self.period.last


@dataclass(frozen=True, slots=True)
class Apart:
    """A period cut in two at a full hour, as known at two moments.

    Attributes:
        later: None takes everything that is known.
        unfinished: the period reaches over the later moment.
        automation: None takes all.
    """

    tenant: str
    period: Period
    boundary: datetime
    earlier: datetime
    later: datetime | None
    unfinished: bool
    automation: str | None = None


class Side(NamedTuple):
    """What was known of a part of a period. Attributes: money: of all automations and arms together."""

    cases: list[Moved]
    money: list[MoneySum]


class Sides(NamedTuple):
    """What one moment knew: of the part of a period before its boundary, and of the rest."""

    early: Side
    recent: Side

    @property
    def cases(self) -> list[Moved]:
        return [*self.early.cases, *self.recent.cases]

    @property
    def money(self) -> list[MoneySum]:
        return [*self.early.money, *self.recent.money]


class Standing(NamedTuple):
    """What else figures depend on at one moment."""

    baselines: list[StoredBaseline]
    rates: list[DatedRate]


class Tally(NamedTuple):
    """Everything that an answer about one period is computed from, as of one moment.

    Attributes:
        cases: empty where buckets or bounds were asked for.
        money: empty where buckets were, and where nobody asked for it.
        buckets, flows: the cases and the money by bucket; empty where nobody asked for them.
        simulated: of people who do not exist.
    """

    cases: list[CaseSum]
    money: list[MoneySum]
    baselines: list[StoredBaseline]
    rates: list[DatedRate]
    currency: str
    rolled_at: datetime
    buckets: Sequence[BucketSums] = ()
    flows: Sequence[MoneyBuckets] = ()
    simulated: bool = False
