"""A tier's answer from its own probabilities and those of the tiers before it: models that err differently are better together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
_FLOOR: Final = 1e-9
# Keeps the weights near what the tiers say where tuning labels are few.
_RIDGE: Final = 1e-3
_DIGITS: Final = 4
# What a lean may cost in accuracy on the other labels, and how far it is tried.
_LEAN_COST: Final = 0.003
_LEANS: Final = np.linspace(0.0, 4.0, 41)


def mixed(probabilities: Sequence[npt.NDArray[np.floating]], weights: Sequence[float]) -> Doubles:
    """Softmax of the weighted sum of log probabilities; each ``(n, classes)``."""
    logits = sum(
        (weight * np.log(np.maximum(found.astype(np.float64), _FLOOR)) for found, weight in zip(probabilities, weights, strict=True)),
        start=np.zeros(1),
    )
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)


def fit(probabilities: Sequence[npt.NDArray[np.floating]], truth: Integers) -> tuple[float, ...]:
    """Weights, none negative, that make these labels most likely: temperature and mixture in one. The problem is convex."""
    rows = np.arange(len(truth))
    count = len(probabilities)

    def loss(weights: Doubles) -> float:
        found = mixed(probabilities, weights.tolist())[rows, truth]
        return float(-np.log(np.maximum(found, 1e-12)).mean() + _RIDGE * ((weights - 1 / count) ** 2).sum())

    found = minimize(loss, np.full(count, 1 / count), method="L-BFGS-B", bounds=[(0.0, 20.0)] * count)
    return tuple(round(float(weight), _DIGITS) for weight in found.x)


def lean(probabilities: Doubles, truth: Integers, people: npt.NDArray[np.bool_]) -> float:
    """What to add to the log probabilities of labels for ``people``: as much as costs the other labels at most three in a thousand.

    A missed out-of-scope text gets a wrong answer, a needless one only asks a person; and there are few of them to learn from.
    """
    logits, ordinary = np.log(np.maximum(probabilities, _FLOOR)), ~people[truth]

    def accuracy(added: float) -> float:
        said = (logits + np.where(people, added, 0.0)).argmax(axis=1)
        return float((said == truth)[ordinary].mean())

    before = accuracy(0.0)
    return float(max(added for added in _LEANS if accuracy(added) >= before - _LEAN_COST))
