"""How a pack treats groups of cases: how often it is wrong about them, and how often it decides them without a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from services.lab.answers import Answers
from services.lab.thresholds import decide
from shared.automations.pack import NEVER, Variant

# Smaller groups say too little about themselves.
FEWEST: Final = 50
_DRAWS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with a 95 % bootstrap interval over the group's cases."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Treatment:
    """Attributes: error: likeliest label wrong, abstention off; ``automation``: decided without a person at the pack's own level."""

    n: int
    error: Rate
    automation: Rate


def treatments(found: Answers, variant: Variant) -> Mapping[str, Treatment]:
    """By segment, of those with enough cases, in alphabetical order; empty where no segments were named."""
    names = np.array(found.segments, dtype=object)
    wrong, automatic = found.last.argmax(axis=1) != found.truth, automated(found, variant)
    counts = {name: int((names == name).sum()) for name in sorted(set(found.segments) - {""})}
    return {
        name: Treatment(count, _rate(wrong[names == name]), _rate(automatic[names == name]))
        for name, count in counts.items()
        if count >= FEWEST
    }


def automated(found: Answers, variant: Variant) -> npt.NDArray[np.bool_]:
    """``(n,)``: decided without a person by the thresholds of the pack's own level."""
    certificate = found.pack.certificate(None, variant)
    setting = tuple(certificate.thresholds.get(name, NEVER) if certificate else NEVER for name in found.tiers)
    return decide(found.scores(), setting, certificate.floor if certificate else 0.0).accepted


def _rate(hits: npt.NDArray[np.bool_]) -> Rate:
    """Drawing n cases with replacement from n of which k are hits is one binomial draw."""
    share = float(hits.mean())
    drawn = np.random.default_rng(0).binomial(len(hits), share, _DRAWS) / len(hits)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Rate(round(share, 4), round(float(low), 4), round(float(high), 4))
