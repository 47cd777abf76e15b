"""Savings for people who look every day: the arithmetic, and that the intervals hold the truth at all looks."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.lab.truth.deployments import PLANNED_DAYS, YEAR, Deployment, deploy, terms
from services.lab.truth.judging import Judgement, fixed_interval, judge
from shared.measure.baselines import Moments
from shared.measure.forecasts import FIRST_LOOK
from shared.measure.mixture import paired, radius
from shared.measure.sequence import Days, progress, saved


def _one(seed: int = 1, **changes: float | bool) -> Deployment:
    rng = np.random.default_rng(seed)
    drawn = replace(terms(rng), volume=60.0, share=0.2)
    return deploy(rng, replace(drawn, **changes))  # type: ignore[arg-type]  # names and types are those of Terms


def _many(count: int, seed: int) -> list[Judgement]:
    children = np.random.SeedSequence(seed).spawn(count)
    return [judge(deploy(rng, terms(rng))) for rng in map(np.random.default_rng, children)]


def test_the_radius_is_never_less_than_the_best_a_normal_mixture_can_reach() -> None:
    fractions = np.logspace(-3, 3, 2_001)
    assert radius(fractions).min() / 1.959964 == pytest.approx(1.5485, abs=0.0002)
    assert fractions[radius(fractions).argmin()] == pytest.approx(1.0, rel=0.01)


def test_brownian_motion_stays_inside_the_radius_as_often_as_promised() -> None:
    rng = np.random.default_rng(3)
    walks = rng.standard_normal((1_500, 2_000)).cumsum(axis=1)
    n = np.arange(1.0, 2_001.0)
    left = (np.abs(walks) > radius(n / 1_000) * np.sqrt(n)).any(axis=1)
    assert left.mean() <= 0.05


def test_no_interval_is_given_before_enough_control_cases() -> None:
    found = saved(_one().days, planned=2_000)
    assert np.isnan(found.low[found.n < FIRST_LOOK]).all()
    assert not np.isnan(found.low[found.n >= FIRST_LOOK]).any()


def test_a_look_uses_nothing_that_came_after_it() -> None:
    days = _one().days
    early = Days(**{name: getattr(days, name)[:100] for name in Days.__slots__})
    whole, part = saved(days, planned=2_000), saved(early, planned=2_000)
    np.testing.assert_allclose(part.low, whole.low[:100])
    np.testing.assert_allclose(part.high, whole.high[:100])


def test_the_estimate_has_no_bias_under_drift_and_a_changing_control_share() -> None:
    rng = np.random.default_rng(8)
    share = np.where(np.arange(60) < 20, 0.5, 0.1)[:, np.newaxis]
    manual = np.exp(np.linspace(0, 1.5, 60))[:, np.newaxis] * 100
    errors = []
    for _ in range(1_500):
        control = rng.binomial(30, share).astype(float)
        automated = 30 - control
        found = saved(Days(automated, automated * 0, control, control * manual, control * manual**2, share), planned=300)
        errors.append(found.point[-1] - (automated * manual).sum())
    assert abs(np.mean(errors)) < 3 * np.std(errors) / np.sqrt(len(errors))


def test_cases_without_a_control_group_are_in_no_figure() -> None:
    days = _one().days
    none = np.zeros((10, days.share.shape[1]))
    longer = Days(**{name: np.vstack([getattr(days, name), none if name != "automated" else none + 9]) for name in Days.__slots__})
    found = saved(longer, planned=2_000)
    assert found.point[-1] == pytest.approx(saved(days, planned=2_000).point[-1])


def test_with_everybody_in_the_control_group_nothing_is_saved_and_no_experiment_begins() -> None:
    ones = np.ones((40, 1))
    found = saved(Days(0 * ones, 0 * ones, 5 * ones, 50 * ones, 520 * ones, ones), planned=100)
    assert (found.point[-1], found.n[-1]) == (0, 0)
    assert np.isnan([found.low[-1], found.high[-1]]).all()


def test_cases_that_were_all_held_back_make_no_later_interval_narrower_or_earlier() -> None:
    days = _one().days
    held = {"automated": 0.0, "spent": 0.0, "control": 40.0, "manual": 40 * 300.0, "squares": 40 * 300.0**2, "share": 1.0}
    longer = Days(**{name: np.vstack([np.full((10, days.share.shape[1]), held[name]), getattr(days, name)]) for name in Days.__slots__})
    before, after = saved(days, planned=2_000), saved(longer, planned=2_000)
    np.testing.assert_array_equal(after.n[10:], before.n)
    # They help to expect what cases take, and that is all.
    assert (np.isnan(after.low[10:]) == np.isnan(before.low)).all()
    rows = [_Row("control", "s", Decimal(1), 100), _Row("control", "s", Decimal("0.2"), 30), _Row("automated", "s", Decimal("0.2"), 120)]
    assert progress(rows, {"s": Moments(130, 130 * 300.0, 130 * 300.0**2)}).control == 30


def test_time_on_cases_without_a_control_group_is_known_apart() -> None:
    rows = [_Row("control", "s", Decimal(1), 9, Decimal(5)), _Row("automated", "s", Decimal(0), 120, Decimal(70))]
    found = progress([*rows, _Row("automated", "s", Decimal("0.2"), 3, Decimal(11))], {})
    assert (found.spent, (found + found).spent, found.at(2).spent) == (70, 140, 140)


class _Row(NamedTuple):
    arm: str
    stratum: str
    share: Decimal
    cases: int
    seconds: Decimal = Decimal(0)
    gain: Decimal = Decimal(0)
    variance: Decimal = Decimal(0)


def test_the_upper_end_is_farther_away_because_long_cases_may_be_missing_from_the_control_group() -> None:
    found = saved(_one(deviation=1.1).days, planned=2_000)
    late = found.n >= FIRST_LOOK
    assert (found.high[late] - found.point[late] > found.point[late] - found.low[late]).all()
    assert (found.low[late] < found.point[late]).all()


def test_intervals_hold_the_truth_at_all_daily_looks_and_claim_no_saving_where_there_is_none() -> None:
    found = _many(250, seed=77)
    # The full run is `make truth`; this catches what is badly wrong, at three standard deviations.
    assert np.mean([one.covered for one in found]) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 250)
    assert np.mean([one.claimed for one in found if not one.saves]) <= 0.05
    assert np.nanmedian([one.ratio for one in found]) <= 1.68
    assert np.mean([one.fixed_covered for one in found]) < 0.8


def test_a_real_saving_is_found() -> None:
    assert all(one.claimed for one in _many(20, seed=5) if one.saves)


def test_the_fixed_time_interval_is_that_of_the_savings_figure_and_agrees_on_the_saving() -> None:
    made = _one(saves=True)
    low, high = fixed_interval(made.days, PLANNED_DAYS)
    point = saved(made.days, planned=made.terms.planned).point[PLANNED_DAYS]
    assert low < point < high
    assert np.isnan(fixed_interval(made.days, 0)).all()


def test_the_sums_of_a_simulated_year_are_those_of_its_cases() -> None:
    made = _one(saves=False, crossovers=0.0)
    assert made.truth == pytest.approx(np.zeros(YEAR))
    assert made.days.squares.sum() >= made.days.manual.sum() ** 2 / made.days.control.sum()


def test_paired_differences_are_covered_at_all_looks() -> None:
    rng = np.random.default_rng(4)
    held = []
    for _ in range(400):
        differences = rng.lognormal(2.0, 0.7, 1_500) - rng.lognormal(2.0, 0.7, 1_500)
        held.append(paired(differences, planned=700).covers(np.zeros(1_500)))
    assert np.mean(held) >= 0.93


def test_paired_differences_without_a_pair_give_no_look() -> None:
    assert paired(np.array([]), planned=10).n.size == 0


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=120), st.floats(-1e6, 1e6))
def test_shifting_every_difference_shifts_the_interval(values: list[float], shift: float) -> None:
    differences = np.array(values)
    plain, moved = paired(differences, planned=50), paired(differences + shift, planned=50)
    np.testing.assert_allclose(moved.point, plain.point + shift, rtol=1e-6, atol=1e-3)
    np.testing.assert_allclose(moved.high - moved.low, plain.high - plain.low, rtol=1e-4, atol=1e-2)
