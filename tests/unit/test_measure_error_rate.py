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
        weighted_drawn=(done + waiting) / share,
        weighted_done=done / share,
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
    disputed = error_rate(replace(sums, disputed=10, weighted_disputed=10 / Decimal("0.02")))
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


def test_looks_that_were_likelier_stand_for_fewer_decisions() -> None:
    # Each of 1,000 decisions was drawn and judged; of 10,000 later ones every fiftieth was drawn, and waits.
    likelier = AuditSums(
        decisions=11_000, drawn=1_200, done=1_000, wrong=40, weighted=Decimal(40), weighted_drawn=Decimal(11_000),
        weighted_done=Decimal(1_000), least=Decimal("0.02"),
    )  # fmt: skip
    rate = error_rate(likelier)
    assert rate is not None
    assert rate.point == pytest.approx(0.04), "40 of 1,000, and not of the 9,167 that so many of the looks are of all decisions"
    assert rate.high > 0.04


def test_the_bounds_hold_where_fewer_are_drawn_from_some_day_on_and_looks_wait() -> None:
    # In the first ten days half of 100 decisions a day are drawn, then one in fifty; a person judges ten a day, in turn.
    rng, probability = np.random.default_rng(20261201), np.repeat([0.5, 0.02], [10, 50])
    looks: list[AuditSums] = []
    truth: list[float] = []
    for _ in range(200):
        errs = rng.random((60, 100)) < 0.1
        drawn = rng.random((60, 100)) < probability[:, None]
        found, weights = errs[drawn], np.repeat(1 / probability, drawn.sum(axis=1))
        for day in range(1, 61):
            total = int(drawn[:day].sum())
            done = min(10 * day, total)
            wrong = found[:done]
            weighted, all_, judged = (
                Decimal(round(float(sum_))) for sum_ in (weights[:done][wrong].sum(), weights[:total].sum(), weights[:done].sum())
            )
            looks.append(
                AuditSums(
                    decisions=100 * day, drawn=total, done=done, wrong=int(wrong.sum()), weighted=weighted, weighted_drawn=all_,
                    weighted_done=judged, least=Decimal("0.02") if day > 10 else Decimal("0.5"),
                )
            )  # fmt: skip
            truth.append(float(errs[:day].mean()))
    held = [known is None or known.low <= true <= known.high for known, true in zip(error_rates(looks), truth, strict=True)]
    assert np.reshape(held, (200, 60)).all(axis=1).sum() >= 190


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
