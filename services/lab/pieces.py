"""Pieces of words, learnt from counted words by merging neighbours, the most frequent pair first (Sennrich, Haddow and Birch, 2016).

The trainer of ``tokenizers`` numbers pieces in the order in which a randomly seeded hash table yields the words, and breaks ties by those
numbers, so that it learns other pieces in every process. Here a tie goes to the pair that comes first in the alphabet.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

CONTINUED: Final = "##"
Pair = tuple[str, str]


def _split(word: str) -> list[str]:
    return [word[0], *(CONTINUED + character for character in word[1:])]


def _merged(pair: Pair) -> str:
    return pair[0] + pair[1].removeprefix(CONTINUED)


@dataclass(slots=True)
class _Words:
    """Words as pieces, with how often each pair of neighbours occurs and in which words."""

    counts: list[int]
    pieces: list[list[str]]
    pairs: Counter[Pair] = field(default_factory=Counter)
    places: dict[Pair, set[int]] = field(default_factory=lambda: defaultdict(set))

    def __post_init__(self) -> None:
        for index in range(len(self.pieces)):
            self.count(index, self.counts[index])

    def count(self, index: int, by: int) -> None:
        for pair in pairwise(self.pieces[index]):
            self.pairs[pair] += by
            self.places[pair].add(index)

    def merge(self, pair: Pair) -> set[Pair]:
        """Pairs whose counts have changed."""
        changed: set[Pair] = set()
        for index in self.places.pop(pair):
            changed.update(pairwise(self.pieces[index]))
            self.count(index, -self.counts[index])
            self.pieces[index] = _joined(self.pieces[index], pair)
            self.count(index, self.counts[index])
            changed.update(pairwise(self.pieces[index]))
        return changed


def _joined(pieces: list[str], pair: Pair) -> list[str]:
    made: list[str] = []
    position = 0
    while position < len(pieces):
        is_pair = tuple(pieces[position : position + 2]) == pair
        made.append(_merged(pair) if is_pair else pieces[position])
        position += 2 if is_pair else 1
    return made


def learnt(words: Mapping[str, int], size: int) -> list[str]:
    """Every character that occurs, then merged pieces in the order in which they were learnt, ``size`` in all unless words run out.

    Args:
        words: how often each occurs; none is empty.
    """
    kept = sorted(words.items())
    state = _Words([count for _, count in kept], [_split(word) for word, _ in kept])
    found = dict.fromkeys(sorted({piece for pieces in state.pieces for piece in pieces}))
    queue = [(-count, pair) for pair, count in state.pairs.items()]
    heapq.heapify(queue)
    while queue and len(found) < size:
        count, pair = heapq.heappop(queue)
        # Entries of earlier counts stay in the queue; the current one is there too.
        if state.pairs[pair] != -count or not count:
            continue
        found[_merged(pair)] = None
        for changed in state.merge(pair):
            if state.pairs[changed]:
                heapq.heappush(queue, (-state.pairs[changed], changed))
    return list(found)
