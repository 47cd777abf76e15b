"""How sure a model must be: the widest threshold whose error among accepted cases is provably below a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

# Safest first. A fixed sequence of tests needs no correction: it stops at the first that fails.
GRID: Final = tuple(round(0.995 - 0.005 * step, 3) for step in range(100))
Booleans = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Selective:
    """Outcome of a threshold on one split; ``upper`` bounds the true error with 95 % confidence."""

    n: int
    accepted: int
    errors: int

    @property
    def coverage(self) -> float:
        return self.accepted / self.n if self.n else 0.0

    @property
    def error(self) -> float:
        return self.errors / self.accepted if self.accepted else 0.0

    @property
    def upper(self) -> float:
        return upper_bound(self.errors, self.accepted)


def upper_bound(errors: int, n: int, confidence: float = 0.95) -> float:
    """One-sided Clopper-Pearson bound of a proportion; 1 where nothing was seen."""
    return 1.0 if errors >= n else float(beta.ppf(confidence, errors + 1, n - errors))


def measure(confidence: Doubles, is_right: Booleans, is_final: Booleans, threshold: float) -> Selective:
    """``is_final`` marks cases whose predicted label may be final without a person; others are never accepted."""
    accepted = is_final & (confidence >= threshold)
    return Selective(len(confidence), int(accepted.sum()), int((accepted & ~is_right).sum()))


def choose(confidence: Doubles, is_right: Booleans, is_final: Booleans, target: float) -> float:
    """The lowest threshold of the walk whose bound is within ``target``; above 1, so that nothing passes, where there is none.

    Points with too few accepted cases to prove anything, even without an error, are passed over and not tested.
    """
    chosen = 1.01
    for threshold in GRID:
        found = measure(confidence, is_right, is_final, threshold)
        if upper_bound(0, found.accepted) > target:
            continue
        if found.upper > target:
            break
        chosen = threshold
    return chosen
