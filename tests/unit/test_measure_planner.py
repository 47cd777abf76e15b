"""What holding cases out costs and gives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.measure.planner import LONGEST_WEEKS, Process, holdout, sentence, share_for, weeks_for
from shared.measure.sequence import Days, saved

CLAIMS = Process(cases_per_day=200, manual=600, deviation=500, assisted=60)


def test_the_price_of_a_control_share_is_the_time_that_automation_would_have_saved() -> None:
    assert holdout(CLAIMS, 0.05, 3).minutes_per_day == pytest.approx(200 * 0.05 * 540 / 60)


def test_the_planned_width_is_the_width_that_the_confidence_sequence_has_at_the_planned_end() -> None:
    rng = np.random.default_rng(1)
    plan = holdout(Process(200, 600, 300), 0.2, 10)
    control = rng.binomial(200, 0.2, (70, 1)).astype(float)
    times = [rng.gamma(4, 150, int(n)) for n in control[:, 0]]
    manual, squares = (np.array([[(t**power).sum()] for t in times]) for power in (1, 2))
    automated = 200 - control
    found = saved(Days(automated, 0 * automated, control, manual, squares, np.full((70, 1), 0.2)), planned=plan.controls)
    assert (found.high[-1] - found.low[-1]) / 2 == pytest.approx(plan.always_valid, rel=0.1)


def test_the_interval_for_one_fixed_day_is_narrower_than_the_one_for_every_day() -> None:
    plan = holdout(CLAIMS, 0.05, 3)
    assert plan.always_valid / plan.fixed_time == pytest.approx(1.5485, abs=0.001)


def test_a_process_that_saves_nothing_can_never_be_measured_in_shares_of_its_saving() -> None:
    plan = holdout(Process(200, 600, 500, assisted=600), 0.05, 3)
    assert (plan.precision, plan.minutes_per_day) == (math.inf, 0)


@pytest.mark.parametrize(("manual", "found"), [(600, 0.2), (1, 120), (0.1, math.inf), (5e-324, math.inf)])
def test_a_precision_that_tells_nothing_is_none(manual: float, found: float) -> None:
    plan = holdout(Process(200, manual, 500), 0.05, 3)
    assert plan.precision == pytest.approx(found, rel=0.2)
    assert ("next to nothing is saved" in sentence(plan)) == math.isinf(found)


@given(st.floats(0.01, 0.5), st.floats(1, 100))
def test_a_share_reaches_the_precision_that_was_asked_for_and_no_smaller_one_does(precision: float, weeks: float) -> None:
    share = share_for(CLAIMS, precision, weeks)
    if share is None:
        assert holdout(CLAIMS, 0.5, weeks).precision > precision
        return
    assert holdout(CLAIMS, share, weeks).precision <= precision
    assert share < 1e-5 or holdout(CLAIMS, share * 0.99, weeks).precision > precision


@given(st.floats(0.01, 0.5), st.floats(0.01, 0.5))
def test_the_weeks_needed_are_the_least(precision: float, share: float) -> None:
    weeks = weeks_for(CLAIMS, precision, share)
    if weeks is None:
        assert holdout(CLAIMS, share, LONGEST_WEEKS).precision > precision
        return
    assert holdout(CLAIMS, share, weeks).precision <= precision
    assert weeks < 0.002 or holdout(CLAIMS, share, weeks * 0.99).precision > precision


def test_what_would_take_longer_than_anybody_waits_has_no_answer() -> None:
    assert weeks_for(Process(1, 600, 5_000), 0.001, 0.01) is None
