"""Estimates of many parts of one period at once: `savings.estimate` and `savings.combine`, one place of each array for each part.

Parts share the baselines of the whole period. Two years are a hundred weeks of several automations: part by part they took longer than to
read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.measure.mixture import Floats
from shared.measure.savings import EVERY_OTHER, Fit, quantile
from shared.measure.skewness import log_normal_third, reach

Flags = NDArray[np.bool_]


class Ends(NamedTuple):
    """Seconds, each of shape (parts,); NaN where `savings.Estimate` has None."""

    low: Floats
    point: Floats
    high: Floats

    def outwards(self) -> Ends:
        """The floats nearest to whole thousandths, as `rounding.outwards` has them, of seconds below 10**12; thousands are shown."""
        return Ends(_at_least(self.low), self.point, -_at_least(-self.high))


@dataclass(frozen=True, slots=True)
class Parts:
    """Estimates of parts: arrays of shape (parts,).

    Attributes:
        known: there is a point.
        point: seconds saved; 0 where it is not known.
        measured: what is behind the point has a spread.
        variance: in seconds squared.
        welch: sum of squared variances over their degrees of freedom.
        third: third central moment, in seconds cubed.
        control: control cases behind the point.
    """

    known: Flags
    point: Floats
    measured: Flags
    variance: Floats
    welch: Floats
    third: Floats
    control: Floats

    def ends(self) -> Ends:
        below, above = self._reach()
        bounded = self.known & self.measured
        low, high = (np.where(bounded, end, np.nan) for end in (self.point - below, self.point + above))
        return Ends(low, np.where(self.known, self.point, np.nan), high)

    def _reach(self) -> tuple[Floats, Floats]:
        """Seconds below and above the points; 0 where nothing varies."""
        # As in `savings`: what is too small to be squared is a rounding error.
        varies = self.welch > 0
        variance = np.where(varies, self.variance, 1.0)
        error = np.sqrt(variance)
        degrees = variance**2 / np.where(varies, self.welch, 1.0)
        skewness = np.maximum(0.0, self.third / error**3)
        below, above = reach(quantile(degrees), skewness, self.control)
        return np.where(varies, below * error, 0.0), np.where(varies, above * error, 0.0)


def _at_least(values: Floats) -> Floats:
    thousandths = np.rint(values * 1000)
    found: Floats = (thousandths - (thousandths / 1000 > values)) / 1000
    return found


def parts(fitted: Fit, automated: Mapping[str, tuple[Floats, Floats]], size: int) -> Parts:
    """The estimate of each part.

    Args:
        automated: automated cases and the human seconds on them by stratum, each of shape (parts,).
        size: how many parts.
    """
    zero = np.zeros(size)
    groups: dict[str, tuple[Floats, Floats]] = {}
    for stratum, (cases, seconds) in automated.items():
        group = fitted.groups.get(stratum, EVERY_OTHER)
        others = groups.get(group, (zero, zero))
        groups[group] = others[0] + cases, others[1] + seconds
    there, covered, measured = (np.full(size, value) for value in (False, False, True))
    point, variance, welch, third, control = (np.zeros(size) for _ in range(5))
    for group, (cases, seconds) in groups.items():
        some = cases > 0
        there |= some
        baseline = fitted.baselines.get(group)
        if baseline is None:
            continue
        covered |= some
        point += np.where(some, cases * baseline.mean - seconds, 0.0)
        if baseline.variance is None or baseline.n < 2:
            measured &= ~some
            continue
        own = baseline.variance * (cases**2 / baseline.n + cases)
        variance += own
        welch += own**2 / (baseline.n - 1)
        third += log_normal_third(baseline.mean, baseline.variance) * cases * ((cases / baseline.n) ** 2 - 1)
        control += some * float(baseline.n)
    known = covered | ~there
    return Parts(known, np.where(known, point, 0.0), measured, variance, welch, third, control)


def unknown(size: int) -> Parts:
    """Parts of which nothing may be said."""
    zero, nowhere = np.zeros(size), np.full(size, fill_value=False)
    return Parts(nowhere, zero, ~nowhere, zero, zero, zero, zero)


def together(found: Iterable[Parts], size: int) -> Parts:
    """The sums of independent estimates of the same parts; what is not known is left out."""
    every = list(found)
    known = np.full(size, not every)
    measured = np.full(size, fill_value=True)
    point, variance, welch, third, control = (np.zeros(size) for _ in range(5))
    for one in every:
        known |= one.known
        measured &= one.measured | ~one.known
        point += one.point
        variance += np.where(one.known, one.variance, 0.0)
        welch += np.where(one.known, one.welch, 0.0)
        third += np.where(one.known, one.third, 0.0)
        control += np.where(one.known, one.control, 0.0)
    return Parts(known, point, measured, variance, welch, third, control)
