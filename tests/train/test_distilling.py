"""A nano with a hidden layer learns what a teacher says, words included that only rewritten texts have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from services.lab import hidden
from services.lab.distilling import Lessons, Recipe, fit
from shared.automations import hashing
from shared.automations.contract import Features

HOW = Recipe(buckets=1 << 10, width=16, epochs=20, documents=32)


def _lessons() -> Lessons:
    written = [f"{verb} the {thing}" for verb in ("pay", "lose") for thing in ("bill", "card", "key", "book")]
    rewritten = [f"{verb} my {thing} {number}" for verb in ("settle", "misplace") for thing in ("bill", "card") for number in range(60)]
    texts = [*written, *rewritten]
    is_pay = np.array([text.startswith(("pay", "settle")) for text in texts])
    return Lessons(texts, np.column_stack((0.1 + 0.8 * is_pay, 0.9 - 0.8 * is_pay)).astype(np.float32), len(written))


def test_a_word_that_only_the_teacher_has_explained_decides_and_doubt_is_learnt_with_it() -> None:
    shares: list[float] = []
    model = fit(_lessons(), HOW, shares.append)
    said = model.probabilities(hashing.encode([Features("settle the book"), Features("misplace the book")], HOW.buckets))
    assert said[0, 0] > 0.6
    assert said[1, 1] > 0.6
    # As sure as the teacher, who gives nine tenths, and not surer.
    assert said.max() < 0.97
    assert shares[-1] == 1
    assert shares == sorted(shares)


def test_letters_carry_over_to_forms_of_words_that_no_lesson_has() -> None:
    documents, apart = [Features("settles"), Features("misplaces")], {}
    for letters in (0, 4):
        how = replace(HOW, letters=letters)
        pay = fit(_lessons(), how).probabilities(hashing.encode(documents, how.buckets, letters))[:, 0]
        apart[letters] = pay[0] - pay[1]
    assert apart[0] < 0.05
    assert apart[4] > 0.25


def test_the_same_lessons_give_the_same_file() -> None:
    first, again = (hidden.to_onnx(fit(_lessons(), HOW), "toy") for _ in range(2))
    assert first == again
