"""Seconds saved so far, with an interval that stays correct for whoever looks every day.

The estimand is that of `savings`: the realised total over the automated cases of ``Y(0) - Y(1)``. Per case, with the known probability
``p`` of the control arm and a forecast ``m`` of its manual seconds made from earlier days only, the estimator adds ``m - Y(1)`` for an
automated case and ``(1 - p) / p * (Y(0) - m)`` for a control case. The error of each case has mean zero given everything before it,
whatever manual times do in the meantime: drift and seasons widen the interval and never bias it. Its variance is ``(1 - p) / p * (Y(0) -
m)^2``, estimated without bias from the control cases.

Sources: augmented inverse-probability weighting with predictable forecasts, and its confidence sequence: I. Waudby-Smith and others,
"Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics 52 (2024), section 3. Long tails: `skewness`,
with a log-normal in each stratum.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

import numpy as np

from shared.measure.baselines import Moments
from shared.measure.forecasts import BORROWED, FIRST_LOOK
from shared.measure.mixture import ALPHA, Floats, Sequence, radius
from shared.measure.skewness import log_normal_third, reach

# Control cases at the planned end of everybody's measurement, so that nobody can choose it after looking: the interval is narrowest for its
# standard error there, and less than a fifth wider at 250 or at 20,000.
PLANNED = 500.0


@dataclass(frozen=True, slots=True)
class Days:
    """Sums per day (rows, in order of time) and stratum (columns); every array is days x strata.

    Attributes:
        automated: cases of the automated arm.
        spent: human seconds on them.
        control: cases of the control arm.
        manual: human seconds on them.
        squares: sum of the squares of those seconds.
        share: probability of the control arm that applied. Cases with 0 had no control and are in no figure; those with 1 were not drawn,
            and count for nothing either. Where it changes within a day, the day has one row before the change and one after it.
    """

    automated: Floats
    spent: Floats
    control: Floats
    manual: Floats
    squares: Floats
    share: Floats


def saved(days: Days, *, planned: float, alpha: float = ALPHA) -> Sequence:
    """The confidence sequence of total seconds saved, one interval per day.

    Args:
        planned: control cases at the planned end, fixed before the first; there the interval is narrowest for its standard error.
        alpha: probability of ever missing the truth.
    """
    forecast = _forecast(days)
    weight = np.divide(1 - days.share, days.share, out=np.zeros_like(days.share), where=days.share > 0)
    gain = days.automated * forecast - days.spent + weight * (days.manual - days.control * forecast)
    point = np.cumsum(np.where(days.share > 0, gain, 0.0).sum(axis=1))
    n = np.cumsum(np.where(days.share < 1, days.control, 0.0).sum(axis=1))
    error = np.sqrt(_variance(days, forecast))
    below, above = _radii(n, _skewness(days, error), planned, alpha)
    shown = np.where(n >= FIRST_LOOK, error, np.nan)
    return Sequence(point, point - below * shown, point + above * shown, n)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an estimate has come; adds up over strata, automations and time, because the errors of cases are uncorrelated.

    Attributes:
        gain: seconds saved by the estimator above, with the forecasts that were stored before each day.
        variance: of its error, estimated without bias.
        third: third moment of its error.
        control: control cases.
        spent: human seconds on automated cases from times without a control group, which are in no sum above.
    """

    gain: float = 0.0
    variance: float = 0.0
    third: float = 0.0
    control: int = 0
    spent: float = 0.0

    def __add__(self, other: Progress) -> Progress:
        return Progress(
            self.gain + other.gain,
            self.variance + other.variance,
            self.third + other.third,
            self.control + other.control,
            self.spent + other.spent,
        )

    def at(self, price: float) -> Progress:
        """What the seconds are worth, at a price of one."""
        return Progress(self.gain * price, self.variance * price**2, self.third * price**3, self.control, self.spent * price)


@dataclass(frozen=True, slots=True)
class Bounds:
    """One interval of a confidence sequence, s. Attributes: spent: as in `Progress`."""

    low: float
    point: float
    high: float
    spent: float = 0.0

    @property
    def least(self) -> float:
        """What all automated cases saved at least: without a control group nobody knows more of a case than what people spent on it."""
        return self.low - self.spent


def third_moment(control: Moments, weighted: float) -> float:
    """Of the error that one stratum adds, if its manual times are log-normal.

    Args:
        control: seconds of its control cases.
        weighted: sum over them of ``(1 - p) (1 - 2 p) / p^3``.
    """
    if control.variance is None:
        return 0.0
    return weighted * log_normal_third(control.mean, control.variance)


class Summed(Protocol):
    """Sums of decided cases of one stratum and arm that were drawn with one control share."""

    @property
    def arm(self) -> str: ...
    @property
    def stratum(self) -> str: ...
    @property
    def share(self) -> Decimal: ...
    @property
    def cases(self) -> int: ...
    @property
    def seconds(self) -> Decimal: ...
    @property
    def gain(self) -> Decimal: ...
    @property
    def variance(self) -> Decimal: ...


def weighted_cases(cases: int, share: Decimal) -> float:
    """The sum that `third_moment` needs of so many control cases."""
    p = float(share)
    return cases * (1 - p) * (1 - 2 * p) / p**3 if p > 0 else 0.0


def progress(rows: Iterable[Summed], control: Mapping[str, Moments]) -> Progress:
    """How far the estimate of one automation has come.

    Args:
        control: seconds of its control cases, by stratum.
    """
    every = list(rows)
    drawn = [row for row in every if 0 < row.share < 1]
    weighted: dict[str, float] = {}
    for row in drawn:
        if row.arm == "control":
            weighted[row.stratum] = weighted.get(row.stratum, 0.0) + weighted_cases(row.cases, row.share)
    return Progress(
        gain=math.fsum(float(row.gain) for row in drawn),
        variance=math.fsum(float(row.variance) for row in drawn),
        third=math.fsum(third_moment(control[stratum], weight) for stratum, weight in weighted.items()),
        control=sum(row.cases for row in drawn if row.arm == "control"),
        spent=math.fsum(float(row.seconds) for row in every if row.share == 0 and row.arm == "automated"),
    )


def bounds(progress: Progress, *, planned: float = PLANNED, alpha: float = ALPHA) -> Bounds | None:
    """The interval as of now; the same as the last one of `saved` for the same cases. None before `FIRST_LOOK` control cases."""
    if progress.control < FIRST_LOOK:
        return None
    error = math.sqrt(max(progress.variance, 0.0))
    skewness = max(progress.third / error**3, 0.0) if error > 0 else 0.0
    below, above = _radii(np.array([float(progress.control)]), np.array([skewness]), planned, alpha)
    low, high = progress.gain - float(below[0]) * error, progress.gain + float(above[0]) * error
    return Bounds(low, progress.gain, high, progress.spent)


def _radii(n: Floats, skewness: Floats, planned: float, alpha: float) -> tuple[Floats, Floats]:
    """Standard errors below and above the point."""
    return reach(radius(np.maximum(n, 1.0) / planned, alpha), skewness, n)


def _forecast(days: Days) -> Floats:
    """Manual seconds per case as known before each day: the stratum's mean, shrunk to the mean of all."""
    n, total = _before(days.control), _before(days.manual)
    overall = total.sum(axis=1, keepdims=True) / np.maximum(n.sum(axis=1, keepdims=True), 1)
    return np.asarray((total + BORROWED * overall) / (n + BORROWED), dtype=np.float64)


def _before(values: Floats) -> Floats:
    sums = np.cumsum(values, axis=0)
    return np.vstack([np.zeros((1, values.shape[1])), sums[:-1]])


def _per_control(days: Days, numerator: Floats, power: int) -> Floats:
    return np.divide(numerator, days.share**power, out=np.zeros_like(days.share), where=days.share > 0)


def _variance(days: Days, forecast: Floats) -> Floats:
    squares = days.squares - 2 * forecast * days.manual + days.control * forecast**2
    terms = (_per_control(days, 1 - days.share, 2) * squares).sum(axis=1)
    return np.asarray(np.maximum(np.cumsum(terms), 0.0), dtype=np.float64)


def _skewness(days: Days, error: Floats) -> Floats:
    """Of the estimate's error, at least 0: the third moments of log-normal strata over the cube of its standard error."""
    n, total, squares = (np.cumsum(values, axis=0) for values in (days.control, days.manual, days.squares))
    many = np.maximum(n, 1.0)
    mean, variance = total / many, np.maximum(squares - total**2 / many, 0.0) / np.maximum(n - 1, 1.0)
    spread = np.sqrt(variance)
    relative = np.divide(spread, mean, out=np.zeros_like(mean), where=mean > 0)
    cases = np.cumsum(days.control * _per_control(days, (1 - days.share) * (1 - 2 * days.share), 3), axis=0)
    third = (cases * (relative**3 + 3 * relative) * spread**3).sum(axis=1)
    return np.asarray(np.maximum(np.divide(third, error**3, out=np.zeros_like(third), where=error > 0), 0.0), dtype=np.float64)
