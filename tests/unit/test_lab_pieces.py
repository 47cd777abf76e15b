"""Pieces of words that the lab learns: the same in every process, whatever the order of the texts."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.lab import pieces
from services.lab.wordpiece import learnt

# Every pair in these words occurs equally often, so that only a rule about ties decides.
TIED = "from services.lab.wordpiece import learnt; print(learnt(['wxyz stuv opqr klmn ghij cdef'] * 3, 36, 16).to_str())"

WORDS = st.dictionaries(st.text("abcdé", min_size=1, max_size=6), st.integers(1, 9), min_size=1, max_size=12)


def test_another_process_breaks_ties_the_same_way() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", TIED], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True, timeout=60
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


@given(texts=st.lists(st.text("ab cd.", max_size=12), max_size=12), order=st.randoms())
def test_the_order_of_the_texts_does_not_matter(texts: list[str], order: random.Random) -> None:
    shuffled = list(texts)
    order.shuffle(shuffled)
    assert learnt(texts, 30, 16).to_str() == learnt(shuffled, 30, 16).to_str()


@given(words=WORDS, size=st.integers(1, 40))
def test_pieces_are_those_of_counting_every_pair_anew_before_each_merge(words: dict[str, int], size: int) -> None:
    assert pieces.learnt(words, size) == _by_recounting(words, size)


def _joined(parts: list[str], first: str, second: str) -> list[str]:
    made: list[str] = []
    while parts:
        takes = 2 if parts[:2] == [first, second] else 1
        made.append(first + second.removeprefix("##") if takes == 2 else parts[0])
        parts = parts[takes:]
    return made


def _by_recounting(words: dict[str, int], size: int) -> list[str]:
    split = {word: [word[0], *("##" + character for character in word[1:])] for word in words}
    found = dict.fromkeys(sorted({piece for parts in split.values() for piece in parts}))
    while len(found) < size:
        pairs = Counter[tuple[str, str]]()
        for word, parts in split.items():
            for pair in pairwise(parts):
                pairs[pair] += words[word]
        if not pairs:
            break
        first, second = min(pairs, key=lambda pair: (-pairs[pair], pair))
        found[first + second.removeprefix("##")] = None
        split = {word: _joined(parts, first, second) for word, parts in split.items()}
    return list(found)


def test_a_word_that_was_never_seen_falls_into_known_pieces() -> None:
    made = learnt(["lower slower lowest", "lower"] * 4, 40, 16)
    assert "[UNK]" not in made.encode("slowest").tokens
    assert made.encode("lower").tokens == ["[CLS]", "lower", "[SEP]"]
    assert made.encode("ß").tokens == ["[CLS]", "[UNK]", "[SEP]"]
