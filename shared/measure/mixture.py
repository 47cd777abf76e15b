"""Half-widths that hold at every look at once, in standard errors: the normal mixture of Robbins.

Source: I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy, A. Ramdas, "Time-uniform central limit theory and asymptotic confidence
sequences", Annals of Statistics 52 (2024), theorem 2.2. A sum with estimated variance ``v`` stays within ``radius(v / v_end) * sqrt(v)`` of
its mean at all looks with the probability asked for, as the number of observations before the first look grows. ``v_end`` is the variance
at the planned end: there the interval is as narrow as a normal mixture can be, and it stays valid before and after.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import lambertw

Floats = NDArray[np.float64]

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Sequence:
    """A confidence sequence: one interval per look, NaN where there are too few observations for one.

    Attributes:
        point, low, high: one number per look.
        n: observations behind each look.
    """

    point: Floats
    low: Floats
    high: Floats
    n: Floats

    def covers(self, truth: Floats) -> bool:
        """Whether every interval holds the truth of its look."""
        return not bool(np.any((truth < self.low) | (truth > self.high)))


def radius(fraction: Floats, alpha: float = ALPHA) -> Floats:
    """Half-width in standard errors.

    Args:
        fraction: how much of the planned information is there, > 0; may pass 1.
        alpha: probability of ever missing the truth.
    """
    x = np.asarray(fraction, dtype=np.float64) * _information_at_the_end(alpha)
    return np.sqrt((1 + 1 / x) * np.log((1 + x) / alpha**2))


def paired(differences: Floats, *, planned: float, first: int = 50, alpha: float = ALPHA) -> Sequence:
    """Mean difference of pairs, such as seconds with and without help on one case, in order of time.

    Args:
        differences: one number per pair.
        planned: number of pairs at the planned end.
        first: pairs before the first interval; the theorem speaks of many.
    """
    n = np.arange(1, len(differences) + 1, dtype=np.float64)
    # Sums around the first value, so that squares of large numbers do not cancel.
    around = differences - (differences[0] if len(differences) else 0.0)
    mean = np.cumsum(around) / n
    variance = np.maximum(np.cumsum(around**2) - n * mean**2, 0.0) / np.maximum(n - 1, 1)
    half = np.where(n >= max(first, 2), radius(n / planned, alpha) * np.sqrt(variance / n), np.nan)
    point = mean + (differences - around)
    return Sequence(point, point - half, point + half, n)


def _information_at_the_end(alpha: float) -> float:
    """The mixture's precision at which `radius` is least: the root of ``1 + x - log(1 + x) = 1 + 2 log(1/alpha)``."""
    return float(-lambertw(-(alpha**2) / np.e, k=-1).real - 1)
