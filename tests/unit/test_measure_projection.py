"""A forecast holds what comes as often as it says, where the future is like the past."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.measure.projection import LEAST_BLOCKS, Baselined, combine, project

blocks = st.lists(st.floats(-1e6, 1e6), min_size=LEAST_BLOCKS, max_size=30)


def test_what_comes_lies_inside_in_about_nineteen_of_twenty_futures() -> None:
    rng = np.random.default_rng(7)
    inside, futures, weeks, ahead = 0, 1500, 8, 4
    for _ in range(futures):
        cases = rng.poisson(400, weeks + ahead)
        control = rng.binomial(cases, 0.1)
        automated = cases - control
        seconds = [rng.lognormal(5, 0.6, count) for count in control[:weeks]]
        times = np.concatenate(seconds)
        manual = [rng.lognormal(5, 0.6, count).sum() for count in automated[weeks:]]
        # A quarter of the manual time is left: people look at some of the cases.
        spent = np.array([rng.gamma(count * 0.2, 150) for count in automated])
        saved = automated[:weeks] * times.mean() - spent[:weeks]
        found = project(list(saved), ahead, [Baselined(int(automated[:weeks].sum()), float(times.var(ddof=1)), len(times))])
        truth = sum(manual) - spent[weeks:].sum()
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= truth <= found.high
    assert 0.92 <= inside / futures <= 0.98


def test_the_variance_is_that_of_the_three_errors() -> None:
    measured, ahead = [90.0, 100.0, 110.0, 100.0], 2
    found = project(measured, ahead, [Baselined(cases=50, variance=9.0, n=25)])
    between = (10**2 + 10**2) / 3
    wanted = between * 2 * (1 + 2 / 4) + (0.5 * 50) ** 2 * 9 / 25 + 0.5 * 50 * 9
    assert found.spreads is not None
    assert math.fsum(spread.variance for spread in found.spreads) == pytest.approx(wanted)
    assert found.point == pytest.approx(200)


@given(blocks, st.floats(0.1, 20))
def test_the_point_lies_in_the_interval_and_a_longer_future_is_less_certain(measured: list[float], ahead: float) -> None:
    near, far = project(measured, ahead), project(measured, 2 * ahead)
    assert near.low is not None and near.high is not None and far.low is not None and far.high is not None  # noqa: PT018  # narrows types
    assert near.low <= near.point <= near.high
    assert far.high - far.low >= near.high - near.low


@given(blocks, blocks)
def test_a_sum_of_independent_futures_is_narrower_than_the_sum_of_their_intervals(one: list[float], other: list[float]) -> None:
    parts = [project(one, 3), project(other, 3)]
    both = combine(parts)
    assert both.point == pytest.approx(parts[0].point + parts[1].point, abs=1e-6)
    assert both.low is not None and both.high is not None  # noqa: PT018  # narrows types
    width = sum(part.high - part.low for part in parts if part.high is not None and part.low is not None)
    # Degrees of freedom of a sum lie between those of its parts and their sum, so only quantiles differ.
    assert both.high - both.low <= width * (1 + 1e-9) + 1e-6


def test_too_few_blocks_or_a_declared_baseline_have_no_interval() -> None:
    assert project([1.0] * (LEAST_BLOCKS - 1), 2).low is None
    declared = project([1.0] * 10, 2, None)
    assert (declared.point, declared.low) == (2.0, None)
    assert combine([declared, project([1.0] * 10, 2)]).high is None
