"""About which cases the last tier is asked: not about those of which it would decide so few that it does not pay.

Whatever ends with a person has been asked of every tier, and the last costs more than all others. The tier before it knows which cases
are hard: below a floor they go to people at once, as long as that costs less than the slack in coverage. Tuning labels alone say where
the floor is, so that a certificate stays what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from services.lab.certify import Promise, p_value
from services.lab.thresholds import Decided, TierScores, decide, path
from shared.automations.pack import NEVER

# Share of the cases; less than what chance makes of coverage on a thousand labels.
SLACK: Final = 0.005
_FLOORS: Final = (*np.round(np.arange(0.05, 1.0, 0.05), 2).tolist(), NEVER)
# The steps of a certificate are wider than the slack.
_STEPS: Final = 400


def floor(tune: Sequence[TierScores], promise: Promise) -> float:
    """The highest that leaves coverage on the tuning labels within the slack of what it is without; 0 where nothing could be proven."""
    if len(tune) < 2:
        return 0.0
    decided = [decide(tune, setting) for setting in path(tune, _STEPS)]

    def coverage(tried: float) -> float:
        return max((_proven(found, tune, tried, promise) for found in decided), default=0.0)

    whole = coverage(0.0)
    return next((tried for tried in reversed(_FLOORS) if whole and coverage(tried) >= whole - SLACK), 0.0)


def _proven(found: Decided, tune: Sequence[TierScores], floor: float, promise: Promise) -> float:
    """Share of the cases that are decided where the tuning labels would prove the promise; else 0."""
    accepted = found.accepted & ((found.tier < len(tune) - 1) | (tune[-2].confidence >= floor))
    count, errors = int(accepted.sum()), int((accepted & found.wrong).sum())
    return count / len(accepted) if p_value(errors, count, promise.alpha) <= promise.delta else 0.0
