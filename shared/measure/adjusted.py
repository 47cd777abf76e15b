"""Seconds saved, with what is known of each case beforehand taken into account, and with control shares that changed meanwhile.

The estimand is that of `savings`. Per case, with the known probability ``p`` of the control arm and a linear model ``m(x)`` of manual
seconds, the estimator adds ``m(x) - Y(1)`` for an automated case and ``(1 - p) / p * (Y(0) - m(x))`` for a control case: augmented
inverse-probability weighting, J. M. Robins, A. Rotnitzky, L. P. Zhao, "Estimation of Regression Coefficients When Some Regressors Are Not
Always Observed", Journal of the American Statistical Association 89 (1994). Because ``p`` is known, the estimate is right in the limit
whatever the model is; a good model only makes the interval narrower, and a linear one cannot make it wider in the limit: W. Lin, "Agnostic
Notes on Regression Adjustments to Experimental Data", Annals of Applied Statistics 7 (2013). Sums, squares and products of the covariate
are enough, so no case is looked at again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.measure.baselines import EMPTY, Moments
from shared.measure.forecasts import BORROWED, FIRST_LOOK
from shared.measure.savings import quantile
from shared.measure.skewness import log_normal_third, reach

# A covariate that hardly varies tells nothing, and its slope could be anything.
_LEAST_VARIATION = 1e-6


@dataclass(frozen=True, slots=True)
class Products:
    """Of some cases: number, seconds and covariate with their squares, and the sum of their products."""

    n: int = 0
    y: float = 0.0
    yy: float = 0.0
    x: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    def __add__(self, other: Products) -> Products:
        return Products(self.n + other.n, self.y + other.y, self.yy + other.yy, self.x + other.x, self.xx + other.xx, self.xy + other.xy)

    def misses(self, intercept: float, slope: float) -> float:
        """Sum of the squares of ``y - intercept - slope * x``."""
        return (
            self.yy
            - 2 * (intercept * self.y + slope * self.xy)
            + intercept**2 * self.n
            + 2 * intercept * slope * self.x
            + slope**2 * self.xx
        )


NONE = Products()


@dataclass(frozen=True, slots=True)
class Cell:
    """Cases of one stratum that were drawn with one probability of the control arm."""

    stratum: str
    share: float
    automated: Products = NONE
    control: Products = NONE


@dataclass(frozen=True, slots=True)
class Adjusted:
    """Seconds saved with the fixed-time 95 % interval.

    Attributes:
        slope: seconds per unit of the covariate.
        explained: share of the variance of manual times within strata that the covariate explains.
    """

    low: float
    point: float
    high: float
    slope: float
    explained: float


def adjusted(cells: Sequence[Cell]) -> Adjusted | None:
    """The estimate; None below `FIRST_LOOK` control cases, as a slope from a few says nothing. Cases with share 0 or 1 are in no figure."""
    drawn = [cell for cell in cells if 0 < cell.share < 1]
    control = [cell.control for cell in drawn if cell.control.n]
    count = sum(part.n for part in control)
    if count < FIRST_LOOK:
        return None
    strata = _strata(drawn)
    slope = _slope(strata.values())
    model = _intercepts(strata, slope)
    gain = math.fsum(_gain(cell, model[cell.stratum], slope) for cell in drawn)
    degrees = max(count - len(strata) - 1, 1)
    variance = math.fsum(_variance(cell, model[cell.stratum], slope) for cell in drawn) * count / degrees
    error = math.sqrt(max(variance, 0.0))
    third = math.fsum(_third(cell, model[cell.stratum], slope) for cell in drawn)
    below, above = reach(quantile(degrees), max(third / error**3, 0.0) if error > 0 else 0.0, float(count))
    return Adjusted(gain - below * error, gain, gain + above * error, slope, _explained(strata.values(), slope))


def weighted(parts: Iterable[tuple[float, Moments]]) -> Moments:
    """Control cases of one stratum as if they had been drawn like the automated ones: each weighs ``(1 - p) / p``.

    Where the share was the same throughout these are the plain sums. Where it changed while times drifted, plain means of both arms are
    means over different months. The number is the effective one: that of equal weights with the same
    variance (L. Kish, "Survey Sampling", 1965).

    Args:
        parts: probability of the control arm, moments of the cases that were drawn with it. Those with 0 or 1 are left out: nothing was
            drawn at random, so they are a control group of no case.
    """
    drawn = [(share, moments) for share, moments in parts if 0 < share < 1 and moments.n]
    if len({share for share, _ in drawn}) <= 1:
        return sum((moments for _, moments in drawn), start=EMPTY)
    found = [((1 - share) / share, moments) for share, moments in drawn]
    total = math.fsum(weight * moments.n for weight, moments in found)
    if total <= 0:
        return EMPTY
    effective = total**2 / math.fsum(weight**2 * moments.n for weight, moments in found)
    scale = round(effective) / total
    return Moments(
        round(effective),
        math.fsum(weight * scale * moments.total for weight, moments in found),
        math.fsum(weight * scale * moments.squares for weight, moments in found),
    )


def _strata(cells: Iterable[Cell]) -> Mapping[str, Products]:
    """Control cases by stratum, all shares together."""
    sums: dict[str, Products] = {}
    for cell in cells:
        sums[cell.stratum] = sums.get(cell.stratum, NONE) + cell.control
    return sums


def _within(parts: Iterable[Products]) -> tuple[float, float, float]:
    """Sums of squares and products around the means of their strata: of x, of x and y, of y."""
    known = [part for part in parts if part.n]
    return (
        math.fsum(part.xx - part.x**2 / part.n for part in known),
        math.fsum(part.xy - part.x * part.y / part.n for part in known),
        math.fsum(part.yy - part.y**2 / part.n for part in known),
    )


def _slope(parts: Iterable[Products]) -> float:
    xx, xy, _ = _within(parts)
    return xy / xx if xx > _LEAST_VARIATION else 0.0


def _explained(parts: Iterable[Products], slope: float) -> float:
    _, xy, yy = _within(parts)
    return min(1.0, max(0.0, slope * xy / yy)) if yy > 0 else 0.0


def _intercepts(strata: Mapping[str, Products], slope: float) -> Mapping[str, float]:
    """By stratum: its means, shrunk to those of all strata until it has its own."""
    together = sum(strata.values(), start=NONE)
    y, x = together.y / together.n, together.x / together.n
    return {name: (part.y + BORROWED * y - slope * (part.x + BORROWED * x)) / (part.n + BORROWED) for name, part in strata.items()}


def _gain(cell: Cell, intercept: float, slope: float) -> float:
    weight = (1 - cell.share) / cell.share
    expected = intercept * cell.automated.n + slope * cell.automated.x
    surprise = cell.control.y - intercept * cell.control.n - slope * cell.control.x
    return expected - cell.automated.y + weight * surprise


def _third(cell: Cell, intercept: float, slope: float) -> float:
    """Third moment of the error, if what the covariate leaves unexplained has the tail of a log-normal; `skewness`."""
    part, share = cell.control, cell.share
    if not part.n:
        return 0.0
    weight = part.n * (1 - share) * (1 - 2 * share) / share**3
    return weight * log_normal_third(part.y / part.n, part.misses(intercept, slope) / part.n)


def _variance(cell: Cell, intercept: float, slope: float) -> float:
    return (1 - cell.share) / cell.share**2 * cell.control.misses(intercept, slope)
