"""Drift is called where it is large and more than chance, and hardly ever where nothing changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from shared.measure.drift import ALPHA, TENTHS, Outputs, by_tenth, compared, homogeneity, stability_index

SHARES = np.array([0.01, 0.01, 0.02, 0.03, 0.05, 0.08, 0.1, 0.15, 0.2, 0.35])


def _outputs(generator: np.random.Generator, cases: int, shares: np.ndarray[tuple[int], np.dtype[np.float64]] = SHARES) -> Outputs:
    labels = generator.multinomial(cases, [0.6, 0.3, 0.1])
    return Outputs([int(n) for n in generator.multinomial(cases, shares)], dict(zip("abc", map(int, labels), strict=True)))


def test_a_model_that_does_not_change_is_called_drifted_in_at_most_one_of_a_hundred_lives() -> None:
    generator = np.random.default_rng(3)
    lives = 300
    called = 0
    for _ in range(lives):
        reference = _outputs(generator, 600)
        # Without the size, which alone would hide false alarms.
        findings = [compared(reference, _outputs(generator, 300), number) for number in range(1, 31)]
        called += any(min(found.score_p, found.label_p) <= found.level for found in findings)
    assert called / lives <= 2 * ALPHA


def test_scores_that_fall_are_found_at_once_and_small_changes_are_left_alone() -> None:
    generator = np.random.default_rng(4)
    reference = _outputs(generator, 1_000)
    assert compared(reference, _outputs(generator, 500, SHARES[::-1].copy()), 40).drifted
    slightly = SHARES * np.linspace(1.15, 0.95, 10)
    small = compared(_outputs(generator, 100_000), _outputs(generator, 200_000, slightly / slightly.sum()), 1)
    assert small.score_p < small.level
    assert not small.drifted


def test_labels_that_change_places_are_found_although_scores_stay() -> None:
    before, now = Outputs([0] * 9 + [900], {"a": 600, "b": 300}), Outputs([0] * 9 + [900], {"a": 300, "c": 600})
    found = compared(before, now, 1)
    assert found.drifted
    assert found.score_index == pytest.approx(0)
    assert found.score_p == 1.0


@given(st.lists(st.integers(20, 5000), min_size=2, max_size=10), st.data())
def test_the_test_is_pearsons_and_the_index_is_zero_for_equal_shares(before: list[int], data: st.DataObject) -> None:
    now = data.draw(st.lists(st.integers(20, 5000), min_size=len(before), max_size=len(before)))
    first, second = np.array(before, dtype=np.float64), np.array(now, dtype=np.float64)
    assert homogeneity(first, second) == pytest.approx(float(chi2_contingency([before, now], correction=False)[1]), rel=1e-6, abs=1e-12)
    assert stability_index(first, first) == pytest.approx(0)
    assert stability_index(first, second) >= -1e-12


def test_nothing_to_compare_is_no_drift() -> None:
    empty = Outputs([0] * 10, {})
    assert not compared(empty, Outputs([0] * 9 + [5], {"a": 5}), 1).drifted
    assert not compared(empty, empty, 1).drifted


@given(st.lists(st.floats(0, 1)))
def test_every_score_is_in_one_tenth_and_a_whole_one_in_the_last(scores: list[float]) -> None:
    found = by_tenth(np.array(scores))
    assert len(found) == TENTHS
    assert list(found) == [sum(min(int(score * 10), 9) == tenth for score in scores) for tenth in range(TENTHS)]
