"""Figures, certificates, gates and comparisons of answers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from services.lab import gates
from services.lab.answers import UNKNOWN, Answers
from services.lab.building import certificates_of
from services.lab.comparison import compared
from services.lab.examples import Example
from services.lab.figures import figures, out_of_scope, per_label
from shared.automations.contract import Features
from shared.automations.pack import Certificate
from tests.lab_answers import answers_of, example_of, sure_of


def test_figures_tell_out_of_scope_texts_from_the_others() -> None:
    said = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 2]]
    found = out_of_scope(answers_of([0, 1, 2, 2, 0], {"nano": said}, ("a", "b", "oos")))
    assert found == {"oos_recall": 0.5, "in_scope_accuracy": 0.6667}
    assert out_of_scope(answers_of([0, 1], {"nano": said[:2, :2]})) == {}


def test_a_binary_pack_has_an_auc_and_every_tier_its_own_figures() -> None:
    draws = np.random.default_rng(3)
    truth = draws.integers(0, 2, 500)
    alone = {"nano": sure_of(truth, draws.random(500) < 0.7), "mini": sure_of(truth, draws.random(500) < 0.9)}
    made = figures(answers_of(truth.tolist(), alone))
    assert made["accuracy"] == made["tiers"]["mini"]["accuracy"] > made["tiers"]["nano"]["accuracy"]
    assert 0.8 < made["auc"] <= 1.0


CERTIFIED = Certificate(
    level="0.02", alpha=0.02, delta=0.05, thresholds={"nano": 0.5, "mini": 0.5}, n=9, accepted=5, errors=0, upper=0.01, coverage=0.5
)


def test_cases_of_a_label_that_the_pack_does_not_have_are_wrong_at_every_level_and_in_no_other_figure() -> None:
    truth = np.array([0, 1] * 100)
    alone = {"nano": sure_of(truth, np.arange(200) % 10 > 0)}
    known = answers_of(truth.tolist(), alone, certificates=(CERTIFIED,))
    found = answers_of([*truth.tolist(), *[UNKNOWN] * 20], {"nano": np.tile(alone["nano"], (2, 1))[:220]}, certificates=(CERTIFIED,))
    assert found.scores()[0].wrong[200:].all()
    before, after = figures(known), figures(found)
    assert {**after, "levels": before["levels"]} == before
    levels = [(made["levels"]["0.02"]["n"], made["levels"]["0.02"]["errors"]) for made in (before, after)]
    assert levels == [(200, 20), (220, 40)]
    assert per_label(found) == per_label(known)


def _certified(rows: Sequence[Example], wrong: Sequence[bool]) -> list[int]:
    """Accepted labels at 2 % and 5 %, where tuning and certification labels are alike."""
    found = answers_of([0] * len(rows), {"nano": sure_of(np.zeros(len(rows), dtype=np.int64), ~np.array(wrong))})
    return [made.accepted for made in certificates_of(found, found, {"tune": rows, "certify": rows}, ("0.02", "0.05"), "any")]


def test_copies_prove_no_more_than_what_they_are_copies_of() -> None:
    few, enough = ([example_of(f"case {index}", "a") for index in range(count)] for count in (120, 150))
    assert _certified(few, [False] * 120) == _certified(few * 12, [False] * 1_440) == [0, 120]
    assert _certified(enough, [False] * 150) == [150, 150]


def test_a_wrong_answer_to_a_frequent_input_breaks_a_promise_as_often_as_it_is_given() -> None:
    rows = [example_of(f"case {index}", "a") for index in range(400)]
    assert _certified(rows, [True, *[False] * 399]) == [400, 400]
    assert _certified([*rows, *rows[:1] * 8], [True, *[False] * 399, *[True] * 8]) == [0, 400]


def _first(found: Answers, count: int) -> Answers:
    return replace(found, tiers={name: rows[:count] for name, rows in found.tiers.items()})


class Wordy:
    """The longer a document, the surer of the first label: each word speaks for it, but for masks."""

    def probabilities(self, documents: Sequence[Features]) -> npt.NDArray[np.float32]:
        words = [sum(word.isascii() for word in document.text.split()) for document in documents]
        sure = (0.5 + 0.02 * np.minimum(words, 20)).astype(np.float32)
        return np.column_stack((sure, 1 - sure)).astype(np.float32)


def _failed(found: Answers, ask: Answers | None = None) -> set[str]:
    rows = [example_of(f"some longer words {index}", "a") for index in range(len(found.truth))]
    asked = ask or found
    picked = gates.judged(found.pack, found, lambda some: _first(asked, len(some)), rows, 0, Wordy())
    return {gate.name for gate in picked if not gate.passed}


def test_a_good_pack_passes_every_gate_and_each_fault_fails_its_own() -> None:
    draws = np.random.default_rng(4)
    truth = np.zeros(400, dtype=np.int64) + (np.arange(400) % 2)
    good = sure_of(truth, draws.random(400) < 0.9)
    constant = np.tile(np.array([[0.9, 0.1]], dtype=np.float32), (400, 1))
    passing = answers_of(truth.tolist(), {"nano": constant}, certificates=(CERTIFIED,))
    assert _failed(replace(passing, tiers={"nano": good}, alone={"nano": good}), passing) == {
        f"answers turned by {name}" for name in gates._CHANGES
    }
    steady = answers_of(
        [0] * 350 + [1] * 50, {"nano": sure_of(np.zeros(400, np.int64), np.ones(400, bool), 0.88)}, certificates=(CERTIFIED,)
    )
    assert _failed(steady) == {"covariance with the labels"}
    assert "certified" in _failed(replace(steady, pack=replace(steady.pack, certificates=())))
    boasting = answers_of(
        [0] * 350 + [1] * 50, {"nano": sure_of(np.zeros(400, np.int64), np.ones(400, bool), 0.999)}, certificates=(CERTIFIED,)
    )
    assert "calibration error" in _failed(boasting)
    worse = answers_of(truth.tolist(), {"nano": good, "mini": sure_of(truth, draws.random(400) < 0.6)}, certificates=(CERTIFIED,))
    assert "gain of the last tier over the first" in _failed(worse)


def test_a_segment_that_bears_the_errors_fails_the_pack() -> None:
    truth = np.zeros(600, dtype=np.int64)
    found = answers_of(truth.tolist(), {"nano": sure_of(truth, np.arange(600) >= 60)}, certificates=(CERTIFIED,))
    unfair = replace(found, segments=("phone",) * 100 + ("web",) * 500)
    assert {gate.name for gate in gates._fair(unfair, "any") if not gate.passed} == {"errors in segment phone, times the whole's"}
    even = replace(found, segments=tuple("phone" if index % 2 else "web" for index in range(600)))
    assert all(gate.passed for gate in gates._fair(even, "any"))


@pytest.mark.parametrize("text", ["", "a", "short", "several longer words, with more of them"])
def test_harmless_changes_keep_the_letters(text: str) -> None:
    for name, (change, _) in gates._CHANGES.items():
        changed = change(text, random.Random(1))
        assert sorted(changed.lower().split()) == sorted(text.lower().split()) or name == "one typing error"
        assert sorted(changed.lower().replace(" ", "").strip()) == sorted(text.lower().replace(" ", ""))


def test_a_comparison_is_paired_and_draws_whole_groups() -> None:
    draws = np.random.default_rng(8)
    truth = draws.integers(0, 2, 1_000)
    first_right = draws.random(1_000) < 0.8
    second_right = first_right | (draws.random(1_000) < 0.3)
    first, second = (answers_of(truth.tolist(), {"nano": sure_of(truth, right)}) for right in (first_right, second_right))
    found = compared(first, second, [str(index) for index in range(1_000)])
    assert found["low"] <= found["difference"] <= found["high"]
    assert found["low"] > 0
    assert found["only_first_right"] == 0
    assert found["p_value"] < 0.001
    one_group = compared(first, second, ["same"] * 500 + [str(index) for index in range(500)])
    assert one_group["high"] - one_group["low"] > found["high"] - found["low"]
    assert compared(first, first, ["x"] * 1_000)["p_value"] == 1.0
