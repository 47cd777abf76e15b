"""Hashing: what a row is must depend on its document alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.automations import hashing
from shared.automations.contract import Features

BUCKETS = 1 << 17
documents = st.lists(
    st.builds(
        Features,
        text=st.text(alphabet=st.sampled_from("ab Zé9_.\x1f\x00\u2028漢"), max_size=60) | st.text(max_size=40),
        fields=st.dictionaries(st.sampled_from(["a", "b", "c=d"]), st.text(max_size=8), max_size=3),
    ),
    max_size=8,
)


def _row(sparse: hashing.Sparse, row: int) -> tuple[bytes, bytes]:
    inside = sparse.rows == row
    return sparse.ids[inside].tobytes(), sparse.values[inside].tobytes()


@settings(deadline=None)
@given(documents, st.sampled_from([0, 4]), st.randoms(use_true_random=False))
def test_a_row_is_the_same_alone_and_in_any_batch_and_order(batch: list[Features], letters: int, random: object) -> None:
    alone = [_row(hashing.encode([document], BUCKETS, letters), 0) for document in batch]
    order = list(range(len(batch)))
    random.shuffle(order)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    together = hashing.encode([batch[index] for index in order], BUCKETS, letters)
    assert together.batch == len(batch)
    assert [_row(together, position) for position in range(len(batch))] == [alone[index] for index in order]


def _plain(text: str) -> set[str]:
    """The same tokens, written the slow way."""
    words: list[str] = []
    word = ""
    for byte in text.encode():
        character = chr(byte)
        if byte >= 128 or character.isalnum():
            word += "0" if character.isdigit() and byte < 128 else character.lower() if byte < 128 else character
        elif word:
            words, word = [*words, word], ""
    words += [word] if word else []
    return {*words, *(f"{a} {b}" for a, b in pairwise(words))}


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("abcXYZ 019.,é-"), max_size=120))
def test_tokens_are_the_words_and_word_pairs_of_a_plain_tokenizer(text: str) -> None:
    found = hashing.encode([Features(text)], 1 << 30)
    assert len(found.ids) == len(_plain(text))


def _folded(text: str) -> bytes:
    """As bytes, with the case folded, digits alike, and one space before, between and after words."""
    found = bytearray(b" ")
    for byte in text.encode():
        character = chr(byte)
        if byte >= 128:
            found.append(byte)
        elif character.isalnum():
            found += b"0" if character.isdigit() else character.lower().encode()
        elif found[-1:] != b" ":
            found += b" "
    return bytes(found if found[-1:] == b" " else found + b" ")


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("abXY 01.,é-\x1f"), max_size=60), st.integers(1, 6))
def test_letters_are_the_sequences_of_the_folded_text(text: str, length: int) -> None:
    words, both = hashing.encode([Features(text)], 1 << 30), hashing.encode([Features(text)], 1 << 30, length)
    folded = _folded(text)
    assert len(both.ids) - len(words.ids) == len({folded[at : at + length] for at in range(len(folded) - length + 1)})
    assert both.ids[: len(words.ids)].tolist() == words.ids.tolist()


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("ab 0é"), max_size=12), st.text(alphabet=st.sampled_from("ab 0é"), max_size=12))
def test_texts_have_the_letters_in_common_that_their_folded_forms_have(first: str, second: str) -> None:
    buckets = 1 << 40
    kept = [
        set(hashing.encode([Features(text)], buckets, 3).ids) - set(hashing.encode([Features(text)], buckets).ids)
        for text in (first, second)
    ]
    slow = [{folded[at : at + 3] for at in range(len(folded) - 2)} for folded in (_folded(first), _folded(second))]
    assert len(kept[0] & kept[1]) == len(slow[0] & slow[1])


def test_case_and_digits_do_not_matter_but_words_do() -> None:
    first, second, third = (hashing.encode([Features(text)], BUCKETS) for text in ("Paid 100 EUR", "paid 999 eur", "paid 99 eur"))
    assert _row(first, 0) == _row(second, 0)
    assert _row(first, 0) != _row(third, 0)


def test_words_fields_and_letters_have_norm_one_each() -> None:
    batch = [Features("the the cat sat on the mat", {"a": "1", "b": "2"}), Features(), Features("x" * 100_000)]
    found = hashing.encode(batch, BUCKETS)
    assert _squares(found) == pytest.approx([2.0, 0.0, 1.0])
    # The last but one is too short for a sequence, the last is nothing but what stands between words.
    assert _squares(hashing.encode([*batch, Features("é"), Features(" -, ")], BUCKETS, 5)) == pytest.approx([3.0, 0.0, 2.0, 1.0, 0.0])
    assert hashing.encode([], BUCKETS, 4).batch == 0


def _squares(found: hashing.Sparse) -> list[float]:
    return [float(np.square(found.values[found.rows == row].astype(np.float64)).sum()) for row in range(found.batch)]


def test_a_bucket_count_that_is_no_power_of_two_is_refused() -> None:
    with pytest.raises(ValueError, match="power of two"):
        hashing.encode([Features("a")], 1000)


def test_the_hash_of_a_known_text_never_changes_within_a_version() -> None:
    found = hashing.encode([Features("Hello world", {"k": "v"})], 1 << 16)
    assert (hashing.VERSION, found.ids.tolist()) == (1, [43406, 59452, 60292, 4488])
    letters = hashing.encode([Features("Hi, you")], 1 << 16, 4)
    assert letters.ids.tolist() == [22978, 46919, 58192, 11199, 15422, 17982, 20935, 47396]
