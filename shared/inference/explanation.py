"""Which words and fields speak for a label. Not for the hot path: every token is scored alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from shared.automations import hashing
from shared.automations.contract import Features
from shared.inference.scorers import LEAST, Scorer


def explain(scorer: Scorer, label: int, document: Features, top: int = 5) -> tuple[str, ...]:
    """Words, word pairs and fields of the document that speak most for a label, strongest first.

    Args:
        label: its position in the scorer's output.
    """
    names = _names(document)
    if not names:
        return ()
    said = scorer.probabilities([Features(), *map(_alone, names)])[:, label].astype(np.float64)
    # In 32 bits the probability of an unlikely label is 0.
    logs = np.log(np.maximum(said, LEAST))
    gain = logs[1:] - logs[0]
    order = np.argsort(-gain, kind="stable")[:top]
    return tuple(names[index] for index in order if gain[index] > 0)


def _alone(name: str) -> Features:
    field, equals, value = name.partition("=")
    return Features(fields={field: value}) if equals else Features(text=name)


def _names(document: Features) -> list[str]:
    words = document.text[: hashing.MAX_CHARACTERS].split()[:500]
    pairs = [f"{first} {second}" for first, second in pairwise(words)]
    return list(dict.fromkeys([*(word for word in words + pairs if "=" not in word), *(f"{k}={v}" for k, v in document.fields.items())]))
