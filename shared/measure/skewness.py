"""Intervals for means of handling times, whose tails are long: few long cases drawn make mean and standard error both too small.

Source: P. Hall, "On the removal of skewness by transformation", Journal of the Royal Statistical Society B 54 (1992): the distribution of
the studentized mean is that of a normal number shifted by ``skewness / 6 * (2 z^2 + 1)``. A log-normal with the mean and variance that
were seen gives the skewness; handling times are close to that, and a third moment from some hundred cases is worth little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from shared.measure.mixture import Floats

# Control cases at which half of the skewness correction counts at the lower end; there it makes the claim larger, so it comes late.
TRUSTED = 2_000.0

Number = TypeVar("Number", float, "Floats")


def log_normal_third(mean: float, variance: float) -> float:
    """Third central moment of the log-normal with this mean and variance; 0 where the mean is not positive."""
    if mean <= 0 or variance <= 0:
        return 0.0
    spread = variance**0.5
    relative = spread / mean
    return float((relative**3 + 3 * relative) * spread**3)


def reach(z: Number, skewness: Number, n: Number) -> tuple[Number, Number]:
    """Standard errors below and above the point that an interval of ``z`` standard errors becomes.

    Args:
        skewness: of the estimate's error, at least 0.
        n: control cases behind it.
    """
    shift = skewness / 6 * (2 * z**2 + 1)
    # Below it is z - shift to first order, and never negative; above, the upper end needs the whole shift.
    return z**2 / (z + shift * n / (n + TRUSTED)), z + shift
