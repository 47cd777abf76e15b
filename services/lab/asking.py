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
from scipy.special import bdtr

from services.lab.certify import Promise
from services.lab.thresholds import Tally, TierScores, path, tally
from shared.automations.pack import NEVER

# Share of the cases; less than what chance makes of coverage on a thousand labels.
SLACK: Final = 0.005
_FLOORS: Final = np.array([0.0, *np.round(np.arange(0.05, 1.0, 0.05), 2), NEVER])
# The steps of a certificate are wider than the slack.
_STEPS: Final = 400


@dataclass(frozen=True, slots=True)
class Floors:
    """What each floor, from the lowest, leaves of each setting on ``n`` tuning labels."""

    n: int
    left: Tally

    def highest(self, promise: Promise) -> float:
        """That leaves coverage within the slack of what it is without; 0 where nothing could be proven, or there is one tier."""
        accepted, errors = self.left.accepted, self.left.errors
        if not accepted.size:
            return 0.0
        proven = bdtr(errors, np.maximum(accepted, 1), promise.alpha) <= promise.delta
        coverage = np.where(proven & (accepted > 0), accepted, 0).max(axis=0) / self.n
        return float(_FLOORS[coverage >= coverage[0] - SLACK][-1]) if coverage[0] else 0.0


def floors(tune: Sequence[TierScores]) -> Floors:
    settings = path(tune, _STEPS) if len(tune) > 1 else []
    return Floors(len(tune[0].confidence), tally(tune, settings, _FLOORS))
