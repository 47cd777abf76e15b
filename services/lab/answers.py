"""What every tier of a pack answers to labelled examples, by the same code with which the worker decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from services.lab.examples import Example
from services.lab.thresholds import TierScores
from shared.automations.pack import Pack, Variant
from shared.inference.models import Models
from shared.inference.scorers import mixed

Floats = npt.NDArray[np.float32]
_CHUNK: Final = 200
# Where the truth is a label that the pack does not have, so that no answer is right.
UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True)
class Answers:
    """Labelled examples and the final answer of each tier, as if every example reached it.

    Attributes:
        truth: ``(n,)`` positions in the pack's labels, or `UNKNOWN`.
        alone: by tier, cheapest first, ``(n, labels)``: what its model says by itself.
        tiers: the same after mixing.
        segments: ``(n,)``.
    """

    pack: Pack
    truth: npt.NDArray[np.int64]
    alone: Mapping[str, Floats]
    tiers: Mapping[str, Floats]
    segments: tuple[str, ...]

    @property
    def last(self) -> Floats:
        return self.tiers[self.pack.tiers[-1].name]

    def known(self) -> Answers:
        """Those to examples whose label the pack has: figures of labels and probabilities can be made of no others."""
        return self.only(self.truth != UNKNOWN)

    def only(self, kept: npt.NDArray[np.bool_]) -> Answers:
        """Those to some of the examples; ``kept`` is ``(n,)``."""
        alone, tiers = ({name: rows[kept] for name, rows in found.items()} for found in (self.alone, self.tiers))
        segments = tuple(segment for segment, is_kept in zip(self.segments, kept, strict=True) if is_kept)
        return replace(self, truth=self.truth[kept], alone=alone, tiers=tiers, segments=segments)

    def scores(self) -> tuple[TierScores, ...]:
        return tuple(self._scores(found) for found in self.tiers.values())

    def _scores(self, found: Floats) -> TierScores:
        predicted = found.argmax(axis=1)
        final = np.array([label not in self.pack.person for label in self.pack.labels])
        # As the worker compares: a 32-bit probability, read as a 64-bit number.
        return TierScores(found.max(axis=1).astype(np.float64), predicted != self.truth, final[predicted])


def answers(
    pack: Pack,
    folder: Path,
    examples: Sequence[Example],
    variant: Variant | None = None,
    passed: Callable[[int], None] = lambda _count: None,
) -> Answers:
    """Every tier's answers. ``passed`` is told how many answers have come since it was last called."""
    models, documents = Models(folder, variant), [example.features for example in examples]
    alone: dict[str, Floats] = {}
    for tier in pack.tiers:
        scorer = models.scorer(pack, tier)
        found = []
        for start in range(0, len(documents), _CHUNK):
            found.append(scorer.probabilities(documents[start : start + _CHUNK]))
            passed(len(found[-1]))
        alone[tier.name] = np.concatenate(found) if found else np.zeros((0, len(pack.labels)), dtype=np.float32)
    positions = {label: index for index, label in enumerate(pack.labels)}
    truth = np.array([positions.get(example.label, UNKNOWN) for example in examples], dtype=np.int64)
    return mix(Answers(pack, truth, alone, {}, tuple(example.segment for example in examples)))


def mix(found: Answers) -> Answers:
    """With every tier's final answer, as the pack mixes them."""
    tiers = {tier.name: _mixed(tier.mix, found.alone) if tier.mix else found.alone[tier.name] for tier in found.pack.tiers}
    return replace(found, tiers=tiers)


def _mixed(weights: Mapping[str, float], alone: Mapping[str, Floats]) -> Floats:
    count = len(next(iter(alone.values())))
    rows = [mixed(weights, {name: alone[name][index] for name in weights}) for index in range(count)]
    return np.array(rows, dtype=np.float32) if rows else next(iter(alone.values()))
