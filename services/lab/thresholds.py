"""Settings of a cascade: one threshold a tier, in an order from the safest to the one that asks people least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from shared.automations.pack import NEVER

Booleans = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Setting = tuple[float, ...]

STEPS: Final = 40
# Settings in one step of `tally`: their cases fit into a processor's cache.
_BLOCK: Final = 64
_EDGE: Final = 1e-6
_NEWTON_STEPS: Final = 30
_RIDGE: Final = 1e-3
# Thresholds are written into manifests: rounded up, so that what is read back accepts no more than what was certified.
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class TierScores:
    """One tier's answers to a labelled sample, as if every document reached it.

    Attributes:
        confidence: ``(n,)`` probability of the likeliest label.
        wrong: ``(n,)`` that label is not the true one.
        final: ``(n,)`` that label may be final without a person.
    """

    confidence: Doubles
    wrong: Booleans
    final: Booleans


@dataclass(frozen=True, slots=True)
class Decided:
    """What a setting does to a labelled sample.

    Attributes:
        accepted: ``(n,)`` decided without a person.
        wrong: ``(n,)`` the label of the tier that ended the case is not the true one.
        tier: ``(n,)`` position of the tier that ended it; the last one that was asked also where it left the case to a person.
    """

    accepted: Booleans
    wrong: Booleans
    tier: Integers

    @property
    def count(self) -> int:
        return int(self.accepted.sum())

    @property
    def errors(self) -> int:
        return int((self.accepted & self.wrong).sum())


def decide(tiers: Sequence[TierScores], setting: Setting, floor: float = 0.0) -> Decided:
    """Runs the cascade: the first tier that is sure enough of its label ends the case, and a label for people ends it with a person.

    Args:
        floor: the last tier is asked where the one before it gives its label at least that much.
    """
    n = len(tiers[0].confidence)
    accepted, wrong, ended = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool), np.full(n, len(tiers) - 1, dtype=np.int64)
    is_open = np.ones(n, dtype=bool)
    for position, (tier, threshold) in enumerate(zip(tiers, setting, strict=True)):
        is_last = position == len(tiers) - 1
        if is_last and position:
            is_hopeless = is_open & (tiers[position - 1].confidence < floor)
            ended[is_hopeless] = position - 1
            is_open &= ~is_hopeless
        sure = is_open & (tier.confidence >= threshold)
        accepted |= sure & tier.final
        closes = is_open if is_last else sure
        wrong[closes], ended[closes] = tier.wrong[closes], position
        is_open &= ~closes
    return Decided(accepted, wrong, ended)


@dataclass(frozen=True, slots=True)
class Tally:
    """What each of many settings, with each of several floors, does to a labelled sample, in numbers.

    Attributes:
        accepted: ``(settings, floors)`` cases that are decided without a person; ``errors``: those of them that are wrong.
    """

    accepted: Integers
    errors: Integers


def tally(tiers: Sequence[TierScores], settings: Sequence[Setting], floors: Sequence[float] | Doubles = (0.0,)) -> Tally:
    """Counts what `decide` says for every setting and floor, many settings in one step."""
    before = tiers[max(len(tiers) - 2, 0)].confidence
    # By this order a floor lets the first so many cases through to the last tier; where there is but one, all.
    order = np.argsort(-before, kind="stable")
    passing = (before >= np.array(floors)[:, None]).sum(axis=1) if len(tiers) > 1 else np.full(len(floors), len(before))
    sorted_tiers = [TierScores(tier.confidence[order], tier.wrong[order], tier.final[order]) for tier in tiers]
    blocks = [np.array(settings[first : first + _BLOCK]) for first in range(0, len(settings), _BLOCK)]
    parts = [_tally(sorted_tiers, thresholds, passing) for thresholds in blocks]
    accepted, errors = np.concatenate([np.zeros((2, 0, len(floors)), dtype=np.int64), *parts], axis=1)
    return Tally(accepted, errors)


def _tally(tiers: Sequence[TierScores], thresholds: Doubles, passing: Integers) -> Integers:
    """Args: thresholds: ``(settings, tiers)``; passing: ``(floors,)``. Returns ``(2, settings, floors)``."""
    n = len(tiers[0].confidence)
    is_open = np.ones((len(thresholds), n), dtype=bool)
    counts = np.zeros((2, len(passing), len(thresholds)), dtype=np.int64)
    for position, (tier, threshold) in enumerate(zip(tiers, thresholds.T, strict=True)):
        sure = is_open & (tier.confidence >= threshold[:, None])
        accepted = sure & tier.final
        firsts = passing if position == len(tiers) - 1 else [n]
        counts += np.array(
            [[np.count_nonzero(those[:, :first], axis=1) for first in firsts] for those in (accepted, accepted & tier.wrong)]
        )
        is_open &= ~sure
    return counts.transpose(0, 2, 1)


@dataclass(frozen=True, slots=True)
class _Reliability:
    """Probability that a tier is right, given its confidence: logistic in the logit of the confidence."""

    slope: float
    intercept: float

    def threshold(self, trust: float) -> float:
        """The confidence at which the tier is right with probability ``trust``."""
        logit = (np.log(trust / (1 - trust)) - self.intercept) / self.slope
        confidence = float(expit(logit))
        return float(np.ceil(confidence * 10**_DIGITS) / 10**_DIGITS) if confidence < 1 - _EDGE else NEVER


def _logit(confidence: Doubles) -> Doubles:
    clipped = np.clip(confidence, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(clipped / (1 - clipped)), dtype=np.float64)


def _reliability(tier: TierScores) -> _Reliability:
    """Maximum likelihood on the tuning labels, by Newton's method.

    Two labels per outcome are added, so that a tier that never erred is not trusted without limit.
    """
    logits = np.append(_logit(tier.confidence), [0.0, 2.0, 0.0, 2.0])
    right = np.append(~tier.wrong, [True, True, False, False]).astype(np.float64)
    inputs = np.column_stack((logits, np.ones_like(logits)))
    weights = np.array([1.0, 0.0])
    for _ in range(_NEWTON_STEPS):
        found = expit(inputs @ weights)
        curvature = (inputs * (found * (1 - found))[:, None]).T @ inputs + _RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, inputs.T @ (right - found) - _RIDGE * weights)
        # Where hardly any answer was wrong, whole steps overshoot.
        weights = weights + np.clip(step, -1.0, 1.0)
    return _Reliability(max(float(weights[0]), 0.05), float(weights[1]))


def path(tune: Sequence[TierScores], steps: int = STEPS) -> list[Setting]:
    """Settings in the order in which a certificate tests them: each tier is trusted alike, ever less from one setting to the next.

    Where tiers are trusted alike at the margin, no other setting with the same error decides more. The steps accept equal numbers of
    tuning cases, and the tuning labels alone decide them.
    """
    reliable = [_reliability(tier) for tier in tune]
    trusts = expit(np.linspace(9.0, -2.0, 2 * steps))
    settings = [tuple(found.threshold(float(trust)) for found in reliable) for trust in trusts]
    counts = np.maximum.accumulate(tally(tune, settings).accepted[:, 0])
    wanted = np.linspace(0, counts.max(), steps + 1)[1:]
    chosen = np.unique(np.searchsorted(counts, wanted, side="left"))
    return [settings[index] for index in chosen]
