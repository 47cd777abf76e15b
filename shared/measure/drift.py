"""Whether a model says other things than it used to: its scores and its labels in a window against those of a reference.

Two things must hold for an alarm. The difference must be more than chance: Pearson's chi-square test of homogeneity of two samples, in
which the reference's own sampling error counts, at a level that is spent over all windows for ever, ``alpha * 6 / (pi^2 k^2)`` in the k-th,
halved for the two questions; whatever the model does, at most ``alpha`` of models that do not change are ever called drifted
(Bonferroni). And it must be large: a population stability index of 0.2 at least (N. Siddiqi, "Credit Risk Scorecards", Wiley 2006, calls
0.1 to 0.25 a moderate and more than that a great change), because in large windows the smallest change is more than chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from shared.measure.mixture import Floats

ALPHA = 0.01
LARGE = 0.2
TENTHS = 10
# Categories with fewer than this expected are taken together: the test is an approximation for many.
_LEAST_EXPECTED = 5.0
# So that an empty category gives a large index and not an infinite one.
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Outputs:
    """How often a model gave each score and each label.

    Attributes:
        scores: by tenth of the score, ten numbers.
        labels: by label.
    """

    scores: Sequence[int]
    labels: Mapping[str, int]

    @property
    def cases(self) -> int:
        return sum(self.scores)


@dataclass(frozen=True, slots=True)
class Finding:
    """Attributes: level: that each of the two probabilities is held against."""

    score_index: float
    score_p: float
    label_index: float
    label_p: float
    level: float

    @property
    def drifted(self) -> bool:
        scores = self.score_p <= self.level and self.score_index >= LARGE
        return scores or (self.label_p <= self.level and self.label_index >= LARGE)


def by_tenth(scores: Floats) -> tuple[int, ...]:
    """How many of the ``scores``, each within 0..1, are in each tenth; 1 is in the last."""
    places = np.clip(np.floor(scores * TENTHS), 0, TENTHS - 1).astype(np.int64)
    return tuple(np.bincount(places, minlength=TENTHS).tolist())


def compared(reference: Outputs, window: Outputs, number: int, alpha: float = ALPHA) -> Finding:
    """The ``number``-th window, from 1, of a model whose reference is never one of them."""
    labels = sorted({*reference.labels, *window.labels})
    pairs = (
        (np.array(reference.scores, dtype=np.float64), np.array(window.scores, dtype=np.float64)),
        tuple(np.array([outputs.labels.get(label, 0) for label in labels], dtype=np.float64) for outputs in (reference, window)),
    )
    (scores, labelled) = ((stability_index(before, now), homogeneity(before, now)) for before, now in pairs)
    return Finding(*scores, *labelled, alpha * 6 / (math.pi**2 * number**2) / 2)


def stability_index(before: Floats, now: Floats) -> float:
    """Population stability index: 0 where the shares are equal."""
    expected, found = ((counts + _HALF) / (counts + _HALF).sum() for counts in (before, now))
    return float(((found - expected) * np.log(found / expected)).sum())


def homogeneity(before: Floats, now: Floats) -> float:
    """Probability of shares that differ so much or more, were they the same; 1 where there is nothing to compare."""
    total = before + now
    order = np.argsort(total)
    expected = min(before.sum(), now.sum()) / max(total.sum(), 1) * total
    pooled = np.cumsum(expected[order]) < _LEAST_EXPECTED
    rare, common = order[pooled], order[~pooled]
    table = np.array([[*counts[common], counts[rare].sum()] for counts in (before, now)])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return 1.0
    fitted = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
    return float(chdtrc(table.shape[1] - 1, ((table - fitted) ** 2 / fitted).sum()))
