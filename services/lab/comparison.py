"""Two packs on the same labelled examples: the paired difference, with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from services.lab.answers import Answers

_DRAWS: Final = 2_000


def compared(first: Answers, second: Answers, groups: Sequence[str], seed: int = 0) -> dict[str, Any]:
    """Accuracy of the second minus that of the first. Whole groups are drawn, because near-copies are no independent evidence.

    Returns:
        ``difference`` with the 95 % bootstrap interval ``low`` to ``high``, how often only one of them is right, and the exact two-sided
        p-value of McNemar's test, which takes every example as independent.
    """
    a, b = (_right(found) for found in (first, second))
    low, high = _interval(b.astype(float) - a, groups, seed)
    only_first, only_second = int((a & ~b).sum()), int((b & ~a).sum())
    discordant = only_first + only_second
    return {
        "n": len(a),
        "accuracy_first": round(float(a.mean()), 4),
        "accuracy_second": round(float(b.mean()), 4),
        "difference": round(float(b.mean() - a.mean()), 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "only_first_right": only_first,
        "only_second_right": only_second,
        "p_value": round(float(binomtest(only_second, discordant, 0.5).pvalue), 6) if discordant else 1.0,
    }


def _right(found: Answers) -> npt.NDArray[np.bool_]:
    """By name of label: the two packs may know them in another order."""
    return np.asarray(found.last.argmax(axis=1) == found.truth)


def _interval(differences: npt.NDArray[np.float64], groups: Sequence[str], seed: int) -> tuple[float, float]:
    _, which = np.unique(np.array(groups, dtype=object).astype(str), return_inverse=True)
    sums = np.bincount(which, weights=differences)
    sizes = np.bincount(which).astype(float)
    draws = np.random.default_rng(seed)
    means = np.empty(_DRAWS)
    for draw in range(_DRAWS):
        picked = draws.integers(0, len(sums), len(sums))
        means[draw] = sums[picked].sum() / sizes[picked].sum()
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
