"""What the first tier says where the words and fields are masked that it cites for its label."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.automations.contract import Features
from shared.inference.scorers import Scorer

# What speaks for a label, by its position, in a document: words, word pairs, and fields as name=value.
Evidence = Callable[[Features, int], Sequence[str]]
_EXPLAINED: Final = 100
# As often as its place in the text, so that no two masks are one word.
_MASK: Final = "¤"
# No less is told apart in 32 bits.
_LEAST: Final = 1e-45


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """What masking the cited words and fields does to the first tier's score of its label, in log odds against all others.

    Attributes:
        n: documents whose label was explained by something.
        fell: share of them whose score fell.
        cited: how much the score fell, on average; ``others``: where as many other words were masked.
    """

    n: int
    fell: float
    cited: float
    others: float


def faithfulness(scorer: Scorer, documents: Sequence[Features], evidence: Evidence, seed: int) -> Faithfulness:
    """Of at most a hundred of the documents; ``evidence`` is the scorer's own about itself."""
    chance = random.Random(seed)
    picked = chance.sample(list(documents), min(_EXPLAINED, len(documents)))
    labels = scorer.probabilities(picked).argmax(axis=1).tolist()
    cited = [evidence(document, label) for document, label in zip(picked, labels, strict=True)]
    explained = [
        (document, label, _masked(document, words, chance)) for document, label, words in zip(picked, labels, cited, strict=True) if words
    ]
    if not explained:
        return Faithfulness(0, 1.0, 0.0, 0.0)
    targets = np.array([label for _, label, _ in explained])

    def odds(cut: Sequence[Features]) -> npt.NDArray[np.float64]:
        # Not 1 - score: in 32 bits a probability close to 1 is 1, and stays there, while those of the other labels still tell.
        rows, place = scorer.probabilities(cut).astype(np.float64), np.arange(len(cut))
        scores = rows[place, targets]
        rows[place, targets] = 0.0
        return np.asarray(np.log(np.maximum(scores, _LEAST)) - np.log(np.maximum(rows.sum(axis=1), _LEAST)), dtype=np.float64)

    whole = odds([document for document, _, _ in explained])
    fell, others = whole - odds([cuts[0] for _, _, cuts in explained]), whole - odds([cuts[1] for _, _, cuts in explained])
    return Faithfulness(len(explained), float((fell > 0).mean()), float(fell.mean()), float(others.mean()))


def _masked(features: Features, cited: Sequence[str], chance: random.Random) -> tuple[Features, Features]:
    """With what was cited masked, and with as many other words and fields masked instead, drawn at random.

    Words that nobody has ever used take their places. Left out, they would leave more weight to the words that remain.
    """
    words, fields = features.text.split(), features.fields
    gone = {word for name in cited for word in name.split()}
    places = {index for index, word in enumerate(words) if word in gone}
    names = {name for name, value in fields.items() if f"{name}={value}" in cited}
    free: list[int | str] = [
        *(index for index in range(len(words)) if index not in places),
        *(name for name in fields if name not in names),
    ]
    others = set(chance.sample(free, min(len(places) + len(names), len(free))))
    return _without(words, fields, {*places, *names}), _without(words, fields, others)


def _without(words: Sequence[str], fields: Mapping[str, str], masked: Collection[int | str]) -> Features:
    text = " ".join(_MASK * (index + 1) if index in masked else word for index, word in enumerate(words))
    return Features(text, {name: _MASK if name in masked else value for name, value in fields.items()})
