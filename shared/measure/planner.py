"""How many cases to hold out: what a control share costs per day, and how narrow the interval becomes.

The half-width is that of `sequence.saved` at the planned end without its skewness correction, and, beside it, the fixed-time one of
`savings`: standard error ``sd * cases * sqrt((1 - p) / (p * cases))`` for a control share ``p``. Handling a case by hand that would have
been automated costs the seconds that automation would have saved on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from shared.measure.mixture import ALPHA, radius

if TYPE_CHECKING:
    from collections.abc import Callable

_DAYS = 7
_HALVINGS = 50
# In savings: whoever knows no more than this knows nothing, however many digits it has.
_WIDEST = 1000
LONGEST_WEEKS = 520.0


@dataclass(frozen=True, slots=True)
class Process:
    """What is known or guessed about a process before it is measured.

    Attributes:
        cases_per_day: in both arms, over all days of the week.
        manual: mean human seconds per case without automation.
        deviation: standard deviation of those seconds within a stratum.
        assisted: mean human seconds per case of the automated arm.
    """

    cases_per_day: float
    manual: float
    deviation: float
    assisted: float = 0.0

    @property
    def saving(self) -> float:
        """Seconds per automated case."""
        return self.manual - self.assisted


@dataclass(frozen=True, slots=True)
class Holdout:
    """What one control share gives after some weeks.

    Attributes:
        controls: expected control cases; the ``planned`` of `sequence.saved`.
        saved: expected seconds saved.
        always_valid, fixed_time: half-widths of the two intervals, s.
        minutes_per_day: what holding out costs.
    """

    share: float
    weeks: float
    controls: float
    saved: float
    always_valid: float
    fixed_time: float
    minutes_per_day: float

    @property
    def precision(self) -> float:
        """Half-width over the expected saving; infinite where nothing is saved, or next to nothing beside the half-width."""
        known = self.saved > 0 and self.always_valid <= _WIDEST * self.saved
        return self.always_valid / self.saved if known else math.inf


def holdout(process: Process, share: float, weeks: float, alpha: float = ALPHA) -> Holdout:
    """What to expect of a control share strictly between 0 and 1."""
    cases = process.cases_per_day * _DAYS * weeks
    error = process.deviation * math.sqrt(cases * (1 - share) / share)
    return Holdout(
        share=share,
        weeks=weeks,
        controls=cases * share,
        saved=cases * (1 - share) * process.saving,
        always_valid=float(radius(np.ones(()), alpha)) * error,
        fixed_time=NormalDist().inv_cdf(1 - alpha / 2) * error,
        minutes_per_day=process.cases_per_day * share * process.saving / 60,
    )


def sentence(found: Holdout) -> str:
    """Such as "5 % control gives ± 20 % in 3 weeks and costs 90 minutes a day"."""
    nothing = "nothing" if found.saved <= 0 else "next to nothing"
    width = f"no precision, because {nothing} is saved," if math.isinf(found.precision) else f"± {percent(found.precision)}"
    return f"{percent(found.share)} control gives {width} in {found.weeks:g} weeks and costs {found.minutes_per_day:.0f} minutes a day"


def percent(share: float) -> str:
    return f"{share * 100:.2g} %" if share < 1 else f"{share * 100:.0f} %"


def share_for(process: Process, precision: float, weeks: float) -> float | None:
    """The least control share, at most one half, that reaches a precision in time; None where none does."""
    return _least(lambda share: holdout(process, share, weeks).precision <= precision, 1e-6, 0.5)


def weeks_for(process: Process, precision: float, share: float) -> float | None:
    """Weeks until a share reaches a precision; None where that takes longer than `LONGEST_WEEKS`."""
    return _least(lambda weeks: holdout(process, share, weeks).precision <= precision, 1e-3, LONGEST_WEEKS)


def _least(enough: Callable[[float], bool], low: float, high: float) -> float | None:
    if not enough(high):
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
