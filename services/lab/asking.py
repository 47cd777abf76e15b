"""About which cases the last tier is asked: not about those of which it would decide so few that it does not pay.

Whatever ends with a person has been asked of every tier, and the last costs more than all others. The tier before it knows which cases
are hard: below a floor they go to people at once, as long as that costs less than the slack in coverage. Tuning labels alone say where
the floor is, so that a certificate stays what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr

from services.lab.certify import Promise
from services.lab.thresholds import TierScores, decide, path
from shared.automations.pack import NEVER

Integers = npt.NDArray[np.int64]
# Share of the cases; less than what chance makes of coverage on a thousand labels.
SLACK: Final = 0.005
_FLOORS: Final = np.array([0.0, *np.round(np.arange(0.05, 1.0, 0.05), 2), NEVER])
# The steps of a certificate are wider than the slack.
_STEPS: Final = 400


@dataclass(frozen=True, slots=True)
class Floors:
    """What each floor, from the lowest, leaves of each setting on ``n`` tuning labels.

    Attributes:
        accepted: ``(settings, floors)`` cases that are decided without a person; ``errors``: those of them that are wrong.
    """

    n: int
    accepted: Integers
    errors: Integers

    def highest(self, promise: Promise) -> float:
        """That leaves coverage within the slack of what it is without; 0 where nothing could be proven, or there is one tier."""
        if not self.accepted.size:
            return 0.0
        proven = bdtr(self.errors, np.maximum(self.accepted, 1), promise.alpha) <= promise.delta
        coverage = np.where(proven & (self.accepted > 0), self.accepted, 0).max(axis=0) / self.n
        return float(_FLOORS[coverage >= coverage[0] - SLACK][-1]) if coverage[0] else 0.0


def floors(tune: Sequence[TierScores]) -> Floors:
    if len(tune) < 2:
        return Floors(len(tune[0].confidence), *np.zeros((2, 0, len(_FLOORS)), dtype=np.int64))
    # The highest floor that still lets each case through.
    places = np.searchsorted(_FLOORS, tune[-2].confidence, side="right") - 1
    accepted, errors = [], []
    for setting in path(tune, _STEPS):
        found = decide(tune, setting)
        reaches = np.where(found.tier < len(tune) - 1, len(_FLOORS) - 1, places)
        accepted.append(_passing(reaches[found.accepted]))
        errors.append(_passing(reaches[found.accepted & found.wrong]))
    return Floors(len(places), np.array(accepted), np.array(errors))


def _passing(reaches: Integers) -> Integers:
    """By floor, how many of the cases that each reach theirs pass it."""
    return np.cumsum(np.bincount(reaches, minlength=len(_FLOORS))[::-1])[::-1]
