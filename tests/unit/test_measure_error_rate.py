"""The error rate and what errors cost, from sums over audits."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.measure.error_rate import AuditSums, error_cost, error_rate, error_rates
from shared.money import Money, currency

LOSS = Money(Decimal(80), currency("EUR"))


def _sums(decisions: int, done: int, wrong: int, *, waiting: int = 0, probability: str = "0.02") -> AuditSums:
    share = Decimal(probability)
    return AuditSums(
        decisions=decisions,
        drawn=done + waiting,
        done=done,
        wrong=wrong,
        weighted=wrong / share,
        least=share,
    )


def test_an_error_that_was_found_stands_for_those_that_nobody_looked_at() -> None:
    rate = error_rate(_sums(10_000, 200, 4))
    assert rate is not None
    assert rate.point == pytest.approx(4 / 0.02 / 10_000)
    assert 0 < rate.low < rate.point < rate.high < 0.1


def test_what_is_drawn_and_not_judged_yet_says_nothing() -> None:
    waiting, half = error_rate(_sums(10_000, 100, 4, waiting=100)), error_rate(_sums(5_000, 100, 4))
    assert waiting is not None
    assert half is not None
    assert waiting.point == pytest.approx(4 / 100)
    assert (waiting.point, waiting.high) == (half.point, half.high), "a hundred of two hundred looks stand for half of the decisions"
    right = error_rate(_sums(10_000, 200, 4))
    assert right is not None
    assert waiting.low == right.low, "what waits may all be right"


def test_nothing_is_known_before_the_first_second_look_is_done() -> None:
    assert error_rate(_sums(100_000, 0, 0, waiting=2_000)) is None
    # Where none was drawn of so many that could be, that says a little.
    none_drawn = error_rate(AuditSums(decisions=400, least=Decimal("0.02")))
    assert none_drawn is not None
    assert none_drawn.low == none_drawn.point == 0 < none_drawn.high < 1


def test_a_disputed_decision_is_right_at_the_lower_end_and_wrong_at_the_upper_one() -> None:
    sums = _sums(10_000, 190, 4, waiting=10)
    disputed = error_rate(replace(sums, disputed=10))
    right, wrong = error_rate(_sums(10_000, 200, 4)), error_rate(_sums(10_000, 200, 14))
    assert disputed is not None
    assert right is not None
    assert wrong is not None
    assert (disputed.low, disputed.high) == (right.low, wrong.high)
    assert right.point < disputed.point < wrong.point


@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_the_bounds_hold_however_long_second_looks_wait(rate: float) -> None:
    # Each day 200 decisions, of which ten are drawn; a person judges one a day, in turn, so that most of them wait.
    rng, share = np.random.default_rng(20261130), 0.05
    looks: list[AuditSums] = []
    truth: list[float] = []
    for _ in range(200):
        errs, drawn = rng.random((60, 200)) < rate, rng.random((60, 200)) < share
        found = errs[drawn]
        for day in range(1, 61):
            total = int(drawn[:day].sum())
            done = min(day, total)
            looks.append(_sums(200 * day, done, int(found[:done].sum()), waiting=total - done, probability=str(share)))
            truth.append(float(errs[:day].mean()))
    held = [known is None or known.low <= true <= known.high for known, true in zip(error_rates(looks), truth, strict=True)]
    deployments = np.reshape(held, (200, 60)).all(axis=1)
    assert deployments.sum() >= 190


@pytest.mark.parametrize("sums", [AuditSums(), AuditSums(decisions=5, drawn=5, least=Decimal("0.5")), AuditSums(decisions=3)])
def test_without_a_decision_that_could_be_judged_there_is_neither_rate_nor_cost(sums: AuditSums) -> None:
    assert error_rate(sums) is None
    assert error_cost(sums, LOSS) is None


def test_the_careful_figure_charges_the_upper_bound_also_where_no_error_was_found() -> None:
    sums = _sums(10_000, 200, 0)
    rate, cost = error_rate(sums), error_cost(sums, LOSS)
    assert rate is not None
    assert cost is not None
    assert cost.expected == Money(Decimal("0.00"), currency("EUR"))
    assert cost.conservative == (LOSS * (Decimal(repr(rate.high)) * 10_000)).rounded()
    assert cost.more == cost.conservative


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 50_000), st.integers(0, 50), st.sampled_from(["0.01", "0.02", "0.1", "1"]))
def test_the_careful_figure_never_charges_less_than_is_expected(decisions: int, wrong: int, probability: str) -> None:
    cost = error_cost(_sums(decisions, max(wrong, decisions // 50), wrong, probability=probability), LOSS)
    assert cost is None or cost.more.amount >= 0
