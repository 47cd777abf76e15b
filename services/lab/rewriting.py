"""Texts that nobody wrote, for a small model to learn what a large one says of them (as in TinyBERT by Jiao et al., 2020).

Words give way to near ones, or drop out, and openings of one text go on as another. So the small model hears of words that no training text
has; what these texts mean is for the teacher to say, and none of them is ever among labels that tune or certify.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Near = Mapping[str, tuple[str, ...]]
WORD: Final = re.compile(r"[a-z]{2,}")
_EDGES: Final = "?,.!"
_NEAREST: Final = 12
_LEAST_ALIKE: Final = 0.45
_DROPPED: Final = 0.07
# How often words give way in a text that stays whole; in one that is spliced they do less.
_REPLACED: Final = (0.15, 0.3, 0.5)
_REPLACED_IN_SPLICED: Final = 0.12
# Of all texts: whole ones, and spliced ones of one label. The rest is spliced from any two, where the teacher doubts too.
_WHOLE, _OF_ONE_LABEL = 0.65, 0.2


def near(known: Sequence[str], words: Sequence[str], vectors: Floats) -> Near:
    """For each of ``known`` that is among ``words``, the most alike of the others, by the cosine of their vectors.

    Args:
        vectors: ``(words, width)``, none of them nothing.
    """
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    places = {word: index for index, word in enumerate(words)}
    found: dict[str, tuple[str, ...]] = {}
    for word in known:
        if word in places:
            alike = unit @ unit[places[word]]
            alike[places[word]] = 0
            enough = np.flatnonzero(alike > _LEAST_ALIKE)
            first = enough[np.argsort(-alike[enough], kind="stable")][:_NEAREST]
            found[word] = tuple(words[index] for index in first)
    return found


def words_of(texts: Sequence[str]) -> list[str]:
    return sorted({word for text in texts for word in WORD.findall(text.lower())})


def rewritten(texts: Sequence[str], labels: Sequence[str], near: Near, count: int, seed: int) -> list[str]:
    """At most ``count`` different texts, none of which is empty; the same arguments give the same."""
    chance = random.Random(seed)
    by_label: dict[str, list[str]] = defaultdict(list)
    for text, label in zip(texts, labels, strict=True):
        by_label[label].append(text)
    made: dict[str, None] = {}
    for _ in range(count):
        index, kind = chance.randrange(len(texts)), chance.random()
        if kind < _WHOLE:
            found = _replaced(texts[index], near, chance.choice(_REPLACED), chance)
        else:
            others = by_label[labels[index]] if kind < _WHOLE + _OF_ONE_LABEL else texts
            found = _replaced(_spliced(texts[index], chance.choice(others), chance), near, _REPLACED_IN_SPLICED, chance)
        made[found] = None
    return [text for text in made if text]


def _replaced(text: str, near: Near, share: float, chance: random.Random) -> str:
    made = []
    for word in text.split():
        draw, choices = chance.random(), near.get(word.lower().strip(_EDGES), ())
        if draw < share and choices:
            made.append(chance.choice(choices))
        elif draw < 1 - _DROPPED:
            made.append(word)
    return " ".join(made)


def _spliced(first: str, second: str, chance: random.Random) -> str:
    opening, rest = first.split(), second.split()
    return (
        " ".join([*opening[: chance.randrange(1, len(opening) + 1)], *rest[chance.randrange(len(rest)) :]]) if opening and rest else first
    )
