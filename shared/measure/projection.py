"""What the next period would save if it were like the measured ones: a point, and an interval for what will really be saved.

The measured period is cut into blocks (weeks, or days where there are too few weeks). Blocks are taken as draws of one process: the same
kind and number of cases, no trend. Three independent errors add up, for a future of ``m`` blocks after ``n`` measured ones:

- blocks differ: ``s² m (1 + m/n)``, the prediction variance of a sum of ``m`` further draws (G. J. Hahn, W. Q. Meeker, "Statistical
  Intervals", 1991, section 4.7, for the sum instead of the mean);
- all blocks share the baseline, whose error does not show between them: ``(m/n)² Σ n_a² s_c² / n_c``;
- how long the future automated cases would have taken by hand scatters around the baseline: ``(m/n) Σ n_a s_c²``.

The quantile is Student's, degrees of freedom by Welch and Satterthwaite.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.measure.savings import Spread, quantile

# Fewer blocks than this say nothing about how blocks differ.
LEAST_BLOCKS = 4


@dataclass(frozen=True, slots=True)
class Baselined:
    """Automated cases of one group of strata in all measured blocks together, and the baseline they were compared with.

    Attributes:
        cases: automated cases.
        variance: of single manual times, s².
        n: cases behind the baseline.
    """

    cases: int
    variance: float
    n: int


@dataclass(frozen=True, slots=True)
class Projection:
    """Attributes: low, high: None where there are too few blocks or a baseline without spread; spreads: for `combine`."""

    point: float
    low: float | None
    high: float | None
    spreads: tuple[Spread, ...] | None


def project(blocks: Sequence[float], future: float, baselines: Iterable[Baselined] | None = ()) -> Projection:
    """The sum of ``future`` further blocks; a part of one counts as that part.

    Args:
        blocks: at least one measured block.
        baselines: what the measured blocks were compared with; None where a part of it has no spread, so that nobody knows.
    """
    n = len(blocks)
    ratio = future / n
    point = math.fsum(blocks) * ratio
    if n < LEAST_BLOCKS or baselines is None:
        return Projection(point, None, None, None)
    mean = math.fsum(blocks) / n
    between = math.fsum((block - mean) ** 2 for block in blocks) / (n - 1)
    spreads = [Spread(between * future * (1 + ratio), n - 1)]
    for part in baselines:
        spreads.append(Spread((ratio * part.cases) ** 2 * part.variance / part.n, part.n - 1))
        spreads.append(Spread(ratio * part.cases * part.variance, part.n - 1))
    return _with(point, tuple(spreads))


def combine(projections: Sequence[Projection]) -> Projection:
    """The sum of independent ones."""
    point = math.fsum(found.point for found in projections)
    spreads: list[Spread] = []
    for found in projections:
        if found.spreads is None:
            return Projection(point, None, None, None)
        spreads.extend(found.spreads)
    return _with(point, tuple(spreads))


def _with(point: float, spreads: tuple[Spread, ...]) -> Projection:
    variance = math.fsum(spread.variance for spread in spreads)
    if variance <= 0:
        return Projection(point, point, point, spreads)
    degrees = 1 / math.fsum((spread.variance / variance) ** 2 / spread.degrees for spread in spreads)
    half = quantile(degrees) * math.sqrt(variance)
    return Projection(point, point - half, point + half, spreads)
