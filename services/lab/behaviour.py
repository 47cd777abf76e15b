"""What a pack does when its input is changed: explanations that hold, and answers that survive what means nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from shared.automations.contract import Features
from shared.inference.scorers import Scorer

# What speaks for a label, by its position, in a document: words, word pairs, and fields as name=value.
Evidence = Callable[[Features, int], Sequence[str]]
_EXPLAINED: Final = 100


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """What taking the cited words and fields away does to the first tier's score of its label.

    Attributes:
        n: documents whose label was explained by something.
        fell: share of them whose score fell.
        cited: how much the logarithm of the score fell, on average; ``others``: where as many other words were taken away.
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
        (document, label, _cuts(document, words, chance)) for document, label, words in zip(picked, labels, cited, strict=True) if words
    ]
    if not explained:
        return Faithfulness(0, 1.0, 0.0, 0.0)
    targets = np.array([label for _, label, _ in explained])

    def logs(cut: Sequence[Features]) -> npt.NDArray[np.float64]:
        scores = scorer.probabilities(cut)[np.arange(len(cut)), targets]
        return np.asarray(np.log(np.maximum(scores.astype(np.float64), 1e-12)), dtype=np.float64)

    whole = logs([document for document, _, _ in explained])
    fell, others = whole - logs([cuts[0] for _, _, cuts in explained]), whole - logs([cuts[1] for _, _, cuts in explained])
    return Faithfulness(len(explained), float((fell > 0).mean()), float(fell.mean()), float(others.mean()))


def _cuts(features: Features, cited: Sequence[str], chance: random.Random) -> tuple[Features, Features]:
    """Without what was cited, and without as many other words and fields, drawn at random."""
    words = features.text.split()
    gone = {word for name in cited for word in name.split()}
    kept = [word for word in words if word not in gone]
    fields = {name: value for name, value in features.fields.items() if f"{name}={value}" not in cited}
    count = len(words) - len(kept) + len(features.fields) - len(fields)
    others = chance.sample([*kept, *fields], min(count, len(kept) + len(fields)))
    other_words = [word for word in words if word in gone or word not in others]
    other_fields = {name: value for name, value in features.fields.items() if name not in others}
    return Features(" ".join(kept), fields), Features(" ".join(other_words), other_fields)
