"""Whether the intervals of one simulated deployment held the truth at every daily look of its year."""

from __future__ import annotations

import math
from dataclasses import dataclass

from services.lab.truth.deployments import PLANNED_DAYS, YEAR, Deployment
from shared.measure.baselines import Moments
from shared.measure.mixture import Floats
from shared.measure.savings import estimate, fit
from shared.measure.sequence import Days, saved

_WEEKLY = range(6, YEAR, 7)


@dataclass(frozen=True, slots=True)
class Judgement:
    """One deployment.

    Attributes:
        saves: False for A/A.
        planned: control cases at the planned end.
        covered: the always-valid interval held the truth at all daily looks.
        above: the truth was above it at some look; below: the truth was below it.
        claimed: its lower end was above zero at some look.
        ratio: its half-width at the planned end over that of the fixed-time interval there; NaN where one of them is missing.
        fixed_covered: the fixed-time interval, asked once a week, held the truth every time.
    """

    saves: bool
    planned: float
    covered: bool
    above: bool
    below: bool
    claimed: bool
    ratio: float
    fixed_covered: bool


def judge(deployment: Deployment) -> Judgement:
    """Ask for both intervals and compare them with the truth."""
    found, truth = saved(deployment.days, planned=deployment.terms.planned), deployment.truth
    low, high = fixed_interval(deployment.days, PLANNED_DAYS - 1)
    width = float(found.high[PLANNED_DAYS - 1] - found.low[PLANNED_DAYS - 1])
    return Judgement(
        saves=deployment.terms.saves,
        planned=deployment.terms.planned,
        covered=found.covers(truth),
        above=bool((truth > found.high).any()),
        below=bool((truth < found.low).any()),
        claimed=bool((found.low > 0).any()),
        ratio=width / (high - low),
        fixed_covered=not any(_misses(deployment, day) for day in _WEEKLY),
    )


def fixed_interval(days: Days, day: int) -> tuple[float, float]:
    """The fixed-time interval of everything up to the end of a day; NaN before there is one."""
    control = _moments(days.control, days.manual, days.squares, day)
    # Squares of the automated arm do not enter.
    found = estimate(fit(control, control, {}), _moments(days.automated, days.spent, days.spent, day))
    return (math.nan if found.low is None else found.low, math.nan if found.high is None else found.high)


def _moments(n: Floats, total: Floats, squares: Floats, day: int) -> dict[str, Moments]:
    sums = [values[: day + 1].sum(axis=0) for values in (n, total, squares)]
    return {f"stratum {index}": Moments(int(count), float(s), float(q)) for index, (count, s, q) in enumerate(zip(*sums, strict=True))}


def _misses(deployment: Deployment, day: int) -> bool:
    low, high = fixed_interval(deployment.days, day)
    truth = float(deployment.truth[day])
    return truth < low or truth > high
