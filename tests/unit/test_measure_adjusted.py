"""Regression adjustment with known probabilities: narrower where a covariate tells something, never wrong where it does not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.measure.adjusted import Adjusted, Cell, Products, adjusted, weighted
from shared.measure.baselines import Moments
from shared.measure.mixture import Floats
from shared.measure.savings import estimate, fit

STRATA = ("simple", "complex")


def _products(y: Floats, x: Floats) -> Products:
    return Products(len(y), float(y.sum()), float((y * y).sum()), float(x.sum()), float((x * x).sum()), float((x * y).sum()))


def _draw(
    rng: np.random.Generator, *, cases: int, tells: float, shares: tuple[float, ...] = (0.1,), drift: float = 0.0
) -> tuple[list[Cell], float]:
    """A deployment and the seconds that it truly saved; ``tells`` is how far log times follow the covariate."""
    x = rng.standard_normal(cases)
    stratum = (rng.random(cases) < 0.3).astype(int)
    part = np.arange(cases) * len(shares) // cases
    logarithm = 5 + stratum + drift * part + 0.7 * (tells * x + math.sqrt(1 - tells**2) * rng.standard_normal(cases))
    manual = np.exp(logarithm)
    share = np.array(shares)[part]
    control = rng.random(cases) < share
    spent = np.where(rng.random(cases) < 0.2, manual * 0.7, 0.0)
    cells = []
    for name, each in enumerate(STRATA):
        for number, probability in enumerate(shares):
            inside = (stratum == name) & (part == number)
            one, other = inside & ~control, inside & control
            cells.append(Cell(each, probability, _products(spent[one], x[one]), _products(manual[other], x[other])))
    return cells, float((manual - spent)[~control].sum())


def _moments(part: Products) -> Moments:
    return Moments(part.n, part.y, part.yy)


def _plain(cells: list[Cell]) -> tuple[float, float, float]:
    """The difference in means of `savings`, which knows neither covariate nor share."""
    arms: list[dict[str, Moments]] = [{}, {}]
    for cell in cells:
        for arm, part in zip(arms, (cell.control, cell.automated), strict=True):
            arm[cell.stratum] = arm.get(cell.stratum, Moments(0, 0.0, 0.0)) + _moments(part)
    found = estimate(fit(arms[0], arms[0], {}), arms[1])
    assert found.low is not None
    assert found.point is not None
    assert found.high is not None
    return found.low, found.point, found.high


def _found(cells: list[Cell]) -> Adjusted:
    found = adjusted(cells)
    assert found is not None
    return found


def test_the_interval_holds_the_truth_as_often_as_the_plain_one_and_is_narrower() -> None:
    rng = np.random.default_rng(20261124)
    held, plain_held, ratios = 0, 0, []
    for _ in range(400):
        cells, truth = _draw(rng, cases=6_000, tells=0.8)
        found, (low, _, high) = _found(cells), _plain(cells)
        held += found.low <= truth <= found.high
        plain_held += low <= truth <= high
        ratios.append((found.high - found.low) / (high - low))
    assert held / 400 >= 0.92
    assert held >= plain_held - 12
    # The covariate explains about half of the variance of these skewed times, so about 0.75 is left of the width.
    assert float(np.median(ratios)) < 0.85


def test_a_covariate_that_tells_nothing_costs_nothing() -> None:
    rng = np.random.default_rng(5)
    widths = []
    for _ in range(100):
        cells, _ = _draw(rng, cases=4_000, tells=0.0)
        found, (low, _, high) = _found(cells), _plain(cells)
        widths.append((found.high - found.low) / (high - low))
    assert float(np.median(widths)) == pytest.approx(1.0, abs=0.03)


def test_a_control_share_that_was_changed_while_times_drifted_biases_plain_means_and_not_the_weighted_ones() -> None:
    rng = np.random.default_rng(8)
    errors, plain, weighed, truths = [], [], [], []
    for _ in range(150):
        cells, truth = _draw(rng, cases=6_000, tells=0.5, shares=(0.5, 0.1), drift=0.6)
        truths.append(truth)
        errors.append(_found(cells).point - truth)
        plain.append(_plain(cells)[1] - truth)
        control = {name: weighted((cell.share, _moments(cell.control)) for cell in cells if cell.stratum == name) for name in STRATA}
        automated = {name: sum((_moments(c.automated) for c in cells if c.stratum == name), Moments(0, 0.0, 0.0)) for name in STRATA}
        weighed.append((estimate(fit(control, control, {}), automated).point or 0.0) - truth)
    for unbiased in (errors, weighed):
        assert abs(np.mean(unbiased)) < 3.5 * np.std(unbiased) / math.sqrt(len(unbiased)) + 0.002 * float(np.mean(truths))
    assert abs(np.mean(plain)) > 0.1 * float(np.mean(truths))


def test_below_fifty_control_cases_there_is_no_estimate() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal(49), rng.random(49)
    assert adjusted([Cell("s", 0.1, _products(y, x), _products(y, x))]) is None
    assert adjusted([]) is None


def test_cases_that_were_drawn_without_a_control_group_are_in_no_figure() -> None:
    cells, _ = _draw(np.random.default_rng(3), cases=3_000, tells=0.5)
    lonely = Cell("simple", 0.0, automated=Products(100, 0.0, 0.0, 5.0, 9.0, 0.0))
    assert adjusted([*cells, lonely]) == adjusted(cells)


def test_control_cases_that_were_not_drawn_at_random_are_no_control_group() -> None:
    forced, drawn = Moments(80, 8_000.0, 900_000.0), Moments(40, 12_000.0, 4_000_000.0)
    assert weighted([(1.0, forced)]) == weighted([(0.0, forced)]) == weighted([]) == Moments(0, 0.0, 0.0)
    assert weighted([(1.0, forced), (0.3, drawn)]) == drawn
    cells, _ = _draw(np.random.default_rng(3), cases=3_000, tells=0.5)
    everything = Cell("simple", 1.0, control=Products(100, 9_000.0, 900_000.0, 5.0, 9.0, 500.0))
    assert adjusted([*cells, everything]) == adjusted(cells)
    assert adjusted([everything]) is None


def test_everything_that_the_covariate_says_is_taken_out() -> None:
    x = np.linspace(0, 10, 200)
    control, automated = _products(30 + 7 * x, x), _products(0 * x, x + 3)
    found = _found([Cell("s", 0.5, automated, control)])
    # An estimate without any error: 200 cases at 30 + 7 (x + 3).
    assert found.point == pytest.approx(200 * 30 + 7 * (float(x.sum()) + 600), rel=1e-6)
    assert found.slope == pytest.approx(7)
    assert found.explained == pytest.approx(1)
    assert found.high - found.low < 1


@settings(deadline=None)
@given(st.floats(0.01, 0.99), st.lists(st.floats(0, 1e5), min_size=1, max_size=60))
def test_with_one_share_weighted_moments_are_the_plain_ones(share: float, times: list[float]) -> None:
    plain = Moments(len(times), math.fsum(times), math.fsum(value * value for value in times))
    halves = [Moments(len(part), math.fsum(part), math.fsum(value * value for value in part)) for part in (times[::2], times[1::2])]
    found = weighted((share, half) for half in halves)
    assert found.n == plain.n
    assert found.total == pytest.approx(plain.total, rel=1e-9, abs=1e-6)
    assert found.squares == pytest.approx(plain.squares, rel=1e-9, abs=1e-6)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-5, 5)), min_size=50, max_size=80), st.floats(-1e3, 1e3), st.floats(0.1, 10))
def test_where_the_covariate_is_measured_in_other_units_the_answer_is_the_same(
    cases: list[tuple[float, float]], shift: float, scale: float
) -> None:
    y, x = (np.array(values) for values in zip(*cases, strict=True))
    if np.std(x) < 0.1:
        return
    one = _found([Cell("s", 0.2, _products(y * 0, x), _products(y, x))])
    other = _found([Cell("s", 0.2, _products(y * 0, x * scale + shift), _products(y, x * scale + shift))])
    assert other.point == pytest.approx(one.point, rel=1e-5, abs=1e-2)
    assert other.high - other.low == pytest.approx(one.high - one.low, rel=1e-3, abs=1e-1)
