"""When an automation must stop by itself: evidence that its error rate is above the limit it was certified for.

The evidence is the wealth of somebody who bets against "the error rate is at most the limit" on each audit in turn. While that is true the
wealth passes ``1/alpha`` in at most ``alpha`` of all deployments, however long they last (Ville's inequality); this holds for rates that
change, as long as they stay at or below the limit. See A. Ramdas, P. Grünwald, V. Vovk, G. Shafer, "Game-Theoretic Statistics and Safe
Anytime-Valid Inference", Statistical Science 38 (2023).

The stake is spread over multiples of the limit, and a part is held back to start afresh now and then, so that a long good record does not
hide a later fault: J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", New England
Journal of Statistics in Data Science 2 (2024).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from shared.measure.mixture import Floats

ALPHA = 0.01
_MULTIPLES = np.array([1.6, 2.2, 3.0, 4.5])
_AT_THE_START = 0.8
# Audits between two fresh starts.
_BLOCK = 250
_ENOUGH = 1e200


@dataclass(slots=True)
class Evidence:
    """Wealth after some audits; many deployments side by side in a simulation, one in life.

    Attributes:
        stakes: ... x bets.
        reserve: stake that is not yet placed.
        audits: number so far.
        highest: the highest wealth ever; a brake stays on.
    """

    stakes: Floats
    reserve: float = 1 - _AT_THE_START
    audits: int = 0
    highest: Floats = field(default_factory=lambda: np.ones(()))

    @classmethod
    def none(cls, deployments: tuple[int, ...] = ()) -> Evidence:
        return cls(np.full((*deployments, len(_MULTIPLES)), _AT_THE_START / len(_MULTIPLES)), highest=np.ones(deployments))

    def brakes(self, alpha: float = ALPHA) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        return self.highest >= 1 / alpha


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule of one automation.

    Attributes:
        limit: certified error rate, 0 < limit < 1.
        weight: the least audit probability over the mean one of the automatic decisions made under it; 1 where all are equal.
    """

    limit: float
    weight: float = 1.0

    def add(self, evidence: Evidence, wrong: Floats) -> None:
        """Take in one more audit of each deployment.

        Args:
            wrong: 0 for a right decision; for a wrong one the least audit probability over its own, so 1 where all are equal.
        """
        if evidence.audits and evidence.audits % _BLOCK == 0:
            _start_afresh(evidence)
        expected = self.limit * self.weight
        rates = np.minimum(_MULTIPLES * expected, (1 + expected) / 2)
        bets = rates * (1 - expected) / ((1 - rates) * expected) - 1
        evidence.stakes *= (1 + bets * np.asarray(wrong)[..., np.newaxis]) / (1 + bets * expected)
        # Long after a brake nothing overflows; less wealth is always allowed.
        np.minimum(evidence.stakes, _ENOUGH, out=evidence.stakes)
        evidence.audits += 1
        np.maximum(evidence.highest, evidence.stakes.sum(axis=-1) + evidence.reserve, out=evidence.highest)


def _start_afresh(evidence: Evidence) -> None:
    # 1/(k(k+1)) sums to 1 over k, so the reserve lasts for ever.
    start = evidence.audits // _BLOCK
    part = (1 - _AT_THE_START) / (start * (start + 1))
    evidence.reserve -= part
    evidence.stakes += part / len(_MULTIPLES)
