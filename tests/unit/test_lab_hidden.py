"""The nano with a hidden layer: its graph, and the texts that nobody wrote from which it learns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.lab import hidden
from services.lab.hidden import HiddenModel
from services.lab.linear import INPUTS
from services.lab.rewriting import Source, near, rewritten, varied, words_of
from shared.automations import hashing
from shared.automations.contract import Features
from shared.inference.session import opened

BUCKETS, WIDTH, CLASSES = 256, 8, 5


def _model() -> HiddenModel:
    draws = np.random.default_rng(0)
    table, heads = draws.normal(size=(BUCKETS, WIDTH)).astype(np.float32), draws.normal(size=(CLASSES, WIDTH)).astype(np.float32)
    return hidden.quantised(table, draws.normal(size=WIDTH).astype(np.float32), heads, draws.normal(size=CLASSES).astype(np.float32))


MODEL = _model()
SESSION = opened(hidden.to_onnx(MODEL, "toy"))


def _served(documents: list[Features]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    sparse = hashing.encode(documents, BUCKETS)
    inputs = {"ids": sparse.ids, "values": sparse.values, "rows": sparse.rows, "batch": np.array([sparse.batch])}
    assert inputs.keys() == INPUTS.keys()
    return np.asarray(SESSION.run(["probabilities"], inputs)[0])


DOCUMENTS = st.lists(st.text("abc ", max_size=12).map(Features), max_size=9)


@given(DOCUMENTS, st.integers(0, 9))
def test_a_document_gets_the_same_bits_alone_and_in_any_part_of_a_batch(documents: list[Features], cut: int) -> None:
    whole = _served(documents)
    assert whole.shape == (len(documents), CLASSES)
    np.testing.assert_array_equal(whole, np.concatenate([_served(documents[:cut]), _served(documents[cut:])]))
    for row, document in zip(whole, documents, strict=True):
        np.testing.assert_array_equal(row, _served([document])[0])


@given(DOCUMENTS)
def test_the_graph_computes_what_the_model_says(documents: list[Features]) -> None:
    expected = MODEL.probabilities(hashing.encode(documents, BUCKETS)) if documents else np.zeros((0, CLASSES))
    np.testing.assert_allclose(_served(documents), expected, atol=1e-6)


def test_a_model_is_read_back_from_its_graph_and_the_same_model_gives_the_same_bytes() -> None:
    content = hidden.to_onnx(MODEL, "toy")
    again = hidden.from_onnx(content)
    assert hidden.to_onnx(again, "toy") == content
    assert hidden.to_onnx(again.cooled(2.0), "toy") != content
    sparse = hashing.encode([Features("a b")], BUCKETS)
    np.testing.assert_allclose(again.cooled(2.0).logits(sparse), MODEL.logits(sparse) / 2, rtol=1e-5)


TEXTS = ("please pay the bill", "lost my card today", "pay it now")
LABELS = ("pay", "lose", "pay")
WORDS = ("pay", "paid", "settle", "card", "cards", "tower")
VECTORS = np.array([[1, 0, 0.1], [1, 0.1, 0.1], [1, 0.3, 0.1], [0, 1, 0.1], [0.1, 1, 0.1], [0, 0, 1]], dtype=np.float32)


def test_near_words_are_the_most_alike_ones_and_none_is_near_itself_or_near_nothing() -> None:
    found = near(words_of(TEXTS), WORDS, VECTORS)
    assert found == {"pay": ("paid", "settle"), "card": ("cards",)}


def test_rewritten_texts_hold_only_words_of_the_texts_and_near_ones_and_differ_from_each_other() -> None:
    close = near(words_of(TEXTS), WORDS, VECTORS)
    made = rewritten(TEXTS, LABELS, close, 400, 3)
    words = set(" ".join(made).split())
    assert words == set(" ".join(TEXTS).split()) | {"paid", "settle", "cards"}
    assert len(made) == len(set(made)) > 100
    assert all(made)
    # Spliced within a label, and from any two.
    assert any("bill" in text and "now" in text for text in made)
    assert any("please" in text and "today" in text for text in made)


@pytest.mark.parametrize("seed", [3, 4])
def test_the_same_seed_rewrites_alike_and_another_one_otherwise(seed: int) -> None:
    close = near(words_of(TEXTS), WORDS, VECTORS)
    first = rewritten(TEXTS, LABELS, close, 50, 3)
    assert (rewritten(TEXTS, LABELS, close, 50, seed) == first) is (seed == 3)


SOURCE = Source(TEXTS, LABELS, ("tall tower",))


def test_varied_texts_are_new_and_those_of_other_tasks_stay_apart() -> None:
    made = varied(SOURCE, near(words_of(TEXTS), WORDS, VECTORS), 1_500, 3)
    assert set(" ".join(made).split()) == set(" ".join((*TEXTS, *SOURCE.foreign)).split()) | {"paid", "settle", "cards"}
    assert len(made) == len(set(made)) > 100
    assert all(made)
    assert not set(made) & set(TEXTS)
    assert any("bill" in text and "now" in text for text in made)
    assert any("please" in text and "today" in text for text in made)
    assert {text for text in made if "tower" in text} == {"tall tower", "tower"}


def test_two_texts_are_joined_at_a_word_that_both_have() -> None:
    first, second = "when on earth does my train leave from here this evening", "so is there something that my dog cannot eat without pain"
    source = Source((first, second), ("a", "b"), ("nothing alike",))
    made = varied(source, {}, 3_000, 1)
    # By chance alone they would seldom be joined right there.
    assert "when on earth does my dog cannot eat without pain" in made
    assert made == varied(source, {}, 3_000, 1) != varied(source, {}, 3_000, 2)
