"""Models and what they read: bins, letters, temperatures, mixtures, tokenisers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from services.lab import levelling, mixing, nano
from services.lab.answers import mix
from services.lab.examples import Example
from services.lab.figures import quality
from services.lab.wordpiece import encoded, learnt, pruned
from shared.automations import hashing
from shared.automations.bins import binned, canonical, number
from tests.lab_answers import answers_of, example_of, sure_of


def test_numbers_of_many_values_become_bins_and_the_rest_stays() -> None:
    rows = [
        example_of("", "a", str(index), amount=str(index), year="1994" if index % 2 else "1995", kind="x", post=f"{index:05}")
        for index in range(200)
    ]
    edges = nano.edges(rows)
    assert set(edges) == {"amount"}
    fields = {"amount": "150", "year": "1994", "kind": "x", "note": ""}
    assert binned(fields, edges) == {"amount": "7", "year": "1994", "kind": "x", "note": ""}
    assert binned({"amount": "unknown"}, edges) == {"amount": "unknown"}
    assert [binned({"amount": value}, edges)["amount"] for value in ("-1", "1e9", "nan")] == ["0", "9", "nan"]


def test_numbers_of_few_values_are_categories_in_one_writing_and_codes_stay_as_they_are() -> None:
    fields = {
        "year": ("1994", "1995.0", "1994.0"), "code": ("01", "1", "2"), "key": ("9007199254740993", "9007199254740992", "1"),
        "kind": ("1", "b", "2"), "blank": ("", "", ""), "some": ("", "2", "3"),
    }  # fmt: skip
    rows = [
        example_of("", "a", str(index), amount=str(index), **{name: values[index % 3] for name, values in fields.items()})
        for index in range(90)
    ]
    edges = nano.edges(rows)
    assert set(edges) == {"amount"}
    assert nano.numbers(rows, edges) == ("year", "some")
    assert nano.numbers([], {}) == ()
    found = {**rows[1].features.fields, "other": "3.0"}
    assert binned(found, edges, ("year", "some", "missing")) == {**binned(found, edges), "year": "1995"}
    assert [canonical(text) for text in ("3", "3.0", "3e0", "+3", " 3", "-0.0", "2.50", "1e300", "nan", "", "b", "1e99999")] == [
        "3", "3", "3", "3", "3", "0", "2.5", "1e+300", "nan", "", "b", "1e99999",
    ]  # fmt: skip


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.decimals(allow_nan=False, allow_infinity=False))
def test_a_number_has_one_writing_which_says_no_other_number(value: float | Decimal) -> None:
    read = number(str(value))
    found = canonical(str(value))
    assert number(found) == read
    assert canonical(found) == found
    if read is not None:
        assert found == canonical(repr(read)) == canonical(f"{Decimal(read):f}")


STEMS = {"house": ("mortgag", "escrow", "apprais"), "study": ("scholar", "tuition", "graduat")}


def _inflected(endings: Sequence[str], count: int) -> list[Example]:
    """Two words of one label's stems, and one that says nothing."""
    chance, found = random.Random(7), []
    for index in range(count):
        label = ("house", "study")[index % 2]
        words = [chance.choice(STEMS[label]) + chance.choice(endings) for _ in range(2)]
        found.append(example_of(f"{words[0]} the {words[1]} {index}", label))
    return found


@pytest.mark.parametrize("margin", [False, True])
def test_letters_tell_words_that_training_never_showed_by_their_stems(*, margin: bool) -> None:
    train, unseen = _inflected(("e", "ed", "s"), 200), _inflected(("ing", "ers", "ional"), 100)
    right = {}
    for letters in (0, 4):
        how = nano.Recipe(1 << 13, strength=1.0, letters=letters, margin=margin)
        model = nano.fit(train, ("house", "study"), how)
        found = model.probabilities(hashing.encode([example.features for example in unseen], how.buckets, letters))
        right[letters] = float((np.array(("house", "study"))[found.argmax(axis=1)] == [example.label for example in unseen]).mean())
    assert right[0] < 0.7
    assert right[4] > 0.95


def test_a_temperature_makes_probabilities_of_margins() -> None:
    chance = random.Random(3)
    rows = [
        example_of(" ".join(chance.choices("abcdefgh", weights=range(*((1, 9) if label == "x" else (9, 1, -1))), k=6)), label, str(index))
        for index in range(3_000)
        for label in [chance.choice("xy")]
    ]
    how = nano.Recipe(1 << 13, strength=0.03, margin=True)
    model = nano.fit(rows[:1_000], ("x", "y"), how)
    cooled = model.cooled(nano.temperature(model, rows[1_000:2_000], ("x", "y"), how))
    fresh, truth = (
        hashing.encode([row.features for row in rows[2_000:]], how.buckets),
        np.array([int(row.label == "y") for row in rows[2_000:]]),
    )
    before, after = (quality(found.probabilities(fresh), truth)["calibration_error"] for found in (model, cooled))
    assert after < 0.05 < before


def test_models_that_err_differently_are_mixed_into_a_better_one() -> None:
    draws = np.random.default_rng(0)
    truth = draws.integers(0, 2, 4_000)
    logits = [np.where(truth == 1, 1.0, -1.0) + draws.normal(0, noise, 4_000) for noise in (1.2, 1.0)]
    alone = [np.column_stack((1 / (1 + np.exp(score)), 1 / (1 + np.exp(-score)))).astype(np.float32) for score in logits]
    weights = mixing.fit(alone, truth)
    together = mixing.mixed(alone, weights)
    assert all(weight > 0 for weight in weights)
    best = max(quality(found, truth)["accuracy"] for found in alone)
    assert quality(together.astype(np.float32), truth)["accuracy"] > best + 0.02
    assert quality(together.astype(np.float32), truth)["calibration_error"] < 0.03


def test_a_model_that_knows_nothing_gets_no_weight() -> None:
    draws = np.random.default_rng(1)
    truth = draws.integers(0, 2, 2_000)
    useless = draws.random(2_000)
    alone = [sure_of(truth, draws.random(2_000) < 0.9), np.column_stack((useless, 1 - useless)).astype(np.float32)]
    assert mixing.fit(alone, truth)[1] < 0.05


def test_the_worker_and_the_lab_mix_alike() -> None:
    draws = np.random.default_rng(2)
    alone = [found / found.sum(axis=1, keepdims=True) for found in draws.random((2, 50, 3)).astype(np.float32)]
    found = answers_of([0] * 50, dict(zip(("nano", "mini"), alone, strict=True)), ("a", "b", "c"))
    tiers = (found.pack.tiers[0], replace(found.pack.tiers[1], mix={"nano": 0.4, "mini": 1.3}))
    served = mix(replace(found, pack=replace(found.pack, tiers=tiers))).last
    np.testing.assert_allclose(served, mixing.mixed(alone, (0.4, 1.3)), atol=1e-6)


TEXTS = ["the card is lost", "where is my card now", "a café, please: now!", "lost and found"] * 5


def test_a_pruned_tokeniser_reads_what_it_was_pruned_for_exactly_as_its_teacher() -> None:
    teacher = learnt(TEXTS + ["completely different words of other people"] * 5, 300, 32)
    made, kept = pruned(teacher, TEXTS, 32)
    assert len(kept) < teacher.get_vocab_size()
    assert [kept[ids].tolist() for ids in encoded(made, TEXTS)] == encoded(teacher, TEXTS)
    assert made.token_to_id("[UNK]") not in encoded(made, ["different words"])[0]
    assert len(encoded(made, ["word " * 100])[0]) == 32
    assert Tokenizer.from_str(made.to_str()).encode("lost").ids == made.encode("lost").ids


def test_a_field_of_a_frequent_value_is_one_piece_and_says_the_same_in_every_file() -> None:
    texts = [f"band=small kind=glass delay=<=1 number={index} the card is lost" for index in range(40)] + ["band=large a=b the card"] * 5
    made = learnt(texts, 300, 32)
    assert [made.id_to_token(index) for index in encoded(made, ["band=small kind=glass delay=<=1 the card"])[0]] == [
        "[CLS]", "band=small", "kind=glass", "delay=<=1", "the", "card", "[SEP]",
    ]  # fmt: skip
    # Rare values, longer ones and other names are read piece by piece.
    assert all(len(encoded(made, [other])[0]) >= 5 for other in ("band=large", "band=smaller", "xband=small", "delay=<=14", "number=7"))
    assert made.to_str() == learnt(texts[::-1], 300, 32).to_str()
    again = Tokenizer.from_str(made.to_str())
    assert encoded(again, texts) == encoded(made, texts)
    assert max(map(max, encoded(made, texts))) < made.get_vocab_size()


def test_texts_to_look_at_come_from_all_of_the_data() -> None:
    texts = [str(index) for index in range(4_537)]
    found = levelling.spread(texts)
    assert 100 <= len(found) < 150
    assert (found[0], int(found[-1]) > 4_450) == ("0", True)
    assert levelling.spread(texts[:7]) == texts[:7]
