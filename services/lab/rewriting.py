"""Texts that nobody wrote, for a small model to learn what a large one says of them (as in TinyBERT by Jiao et al., 2020).

Words give way to near ones, or drop out, and openings of one text go on as another. So the small model hears of words that no training text
has; what these texts mean is for the teacher to say, and none of them is ever among labels that tune or certify.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
# Likewise of varied texts, each with those before it: whole ones; spliced ones of one label; of any two; of any two at a word that both
# have, which reads like something that somebody might say. The rest are other tasks' texts, to which all labels are foreign.
_KINDS: Final = (0.5, 0.7, 0.8, 0.92)
_REPLACED_IN_FOREIGN: Final = 0.2


@dataclass(frozen=True, slots=True)
class Source:
    """What varied texts are made of: ``texts`` with their ``labels``, and texts of other tasks."""

    texts: Sequence[str]
    labels: Sequence[str]
    foreign: Sequence[str]


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


def varied(source: Source, near: Near, count: int, seed: int) -> list[str]:
    """As `rewritten`, but of more kinds, and none of them is among the texts that it is made of."""
    writer, made = _Writer(source, near, seed), dict.fromkeys(("", *source.texts))
    known = len(made)
    for _ in range(count):
        made[writer.text()] = None
    return list(made)[known:]


class _Writer:
    """One text after the other."""

    def __init__(self, source: Source, near: Near, seed: int) -> None:
        self._source, self._near, self._chance = source, near, random.Random(seed)
        self._of_label: dict[str, list[str]] = defaultdict(list)
        self._from_word: dict[str, list[list[str]]] = defaultdict(list)
        for text, label in zip(source.texts, source.labels, strict=True):
            self._of_label[label].append(text)
            words = text.split()
            for place, word in enumerate(words):
                self._from_word[word].append(words[place:])

    def text(self) -> str:
        chance, texts, kind = self._chance, self._source.texts, self._chance.random()
        whole, of_one_label, of_any, at_a_word = _KINDS
        index = chance.randrange(len(texts))
        if kind < whole:
            return _replaced(texts[index], self._near, chance.choice(_REPLACED), chance)
        if kind >= at_a_word:
            return _replaced(chance.choice(self._source.foreign or texts), self._near, _REPLACED_IN_FOREIGN, chance)
        if kind < of_one_label:
            made = _spliced(texts[index], chance.choice(self._of_label[self._source.labels[index]]), chance)
        else:
            made = _spliced(texts[index], chance.choice(texts), chance) if kind < of_any else self._crossed(texts[index])
        return _replaced(made, self._near, _REPLACED_IN_SPLICED, chance)

    def _crossed(self, text: str) -> str:
        words = text.split()
        if not words:
            return text
        place = self._chance.randrange(len(words))
        return " ".join([*words[:place], *self._chance.choice(self._from_word[words[place]])])


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
