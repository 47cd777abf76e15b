"""From moments and segments of a log to seconds per case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import accumulate
from statistics import fmean, variance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.measure.handling import NO_END, NO_START, TOO_LONG, Moment, Segment, Tally, Transition, pair, transition

START = datetime(2026, 1, 5, 8, tzinfo=UTC)


def _at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def _moments(text: str) -> list[Moment]:
    """``"a start 0, a complete 5"``."""
    words = [moment.split() for moment in text.split(",")]
    return [Moment(work, Transition(name), _at(float(at))) for work, name, at in words]


def _seconds(text: str) -> list[float]:
    return [segment.seconds for segment in pair(_moments(text)).segments]


def test_a_start_and_a_complete_are_a_piece_of_work() -> None:
    assert _seconds("a start 0, a complete 60") == [60]


def test_time_while_suspended_is_no_work() -> None:
    assert _seconds("a start 0, a suspend 10, a resume 100, a suspend 130, a resume 200, a complete 205") == [10, 30, 5]


def test_work_that_is_completed_while_suspended_ended_when_it_was_suspended() -> None:
    paired = pair(_moments("a start 0, a suspend 10, a complete 500"))
    assert ([s.seconds for s in paired.segments], paired.left_out) == ([10], {})


def test_activities_that_overlap_are_told_apart() -> None:
    assert sorted(_seconds("a start 0, b start 5, a complete 20, b complete 65")) == [20, 60]


def test_two_at_the_same_activity_at_once_both_count() -> None:
    assert sorted(_seconds("a start 0, a start 10, a complete 30, a complete 50")) == [30, 40]


def test_a_log_need_not_be_in_order() -> None:
    assert _seconds("a complete 60, a start 0") == [60]


def test_what_has_no_partner_is_counted_and_left_out() -> None:
    paired = pair(_moments("a start 0, b complete 3, c start 4, c complete 9"))
    assert ([s.seconds for s in paired.segments], paired.left_out) == ([5], {NO_END: 1, NO_START: 1})


@pytest.mark.parametrize(
    ("name", "found"),
    [("START", Transition.START), ("ate_abort", Transition.COMPLETE), ("withdraw", Transition.COMPLETE), ("schedule", None), ("", None)],
)
def test_only_what_begins_or_ends_work_counts(name: str, found: Transition | None) -> None:
    assert transition(name) is found


@given(st.lists(st.integers(0, 5000), min_size=2, max_size=40))
def test_work_and_breaks_that_follow_each_other_add_up_to_the_work_alone(spans: list[int]) -> None:
    """Spans are by turns work and break."""
    ends = list(accumulate(spans))
    moments = [Moment("a", Transition.START, _at(0))]
    for number, end in enumerate(ends[:-1]):
        moments.append(Moment("a", Transition.SUSPEND if number % 2 == 0 else Transition.RESUME, _at(end)))
    moments.append(Moment("a", Transition.COMPLETE, _at(ends[-1])))
    assert sum(segment.seconds for segment in pair(moments).segments) == sum(spans[::2])


def test_segments_of_one_case_are_summed_before_anything_else() -> None:
    tally = Tally()
    for case in range(30):
        for seconds in (10 * case, 40):
            tally.add(str(case), "motor", Segment(_at(0), _at(seconds)))
    (everything, motor) = tally.times()
    sums = [10.0 * case + 40 for case in range(30)]
    assert (everything.stratum, motor.stratum) == ("*", "motor")
    assert (motor.n, motor.mean) == (30, fmean(sums))
    assert motor.variance == pytest.approx(variance(sums))


def test_strata_with_too_few_cases_have_only_what_all_cases_have() -> None:
    tally = Tally()
    for case in range(40):
        tally.add(str(case), "large" if case < 35 else "small", Segment(_at(0), _at(case)))
    assert [(times.stratum, times.n) for times in tally.times()] == [("*", 40), ("large", 35)]


def test_a_clock_that_nobody_stopped_is_left_out_and_counted() -> None:
    tally = Tally()
    for hours in (1, 8, 9):
        tally.add("c", "*", Segment(_at(0), _at(hours * 3600)))
    assert (tally.segments, dict(tally.left_out)) == (2, {TOO_LONG: 1})
    assert tally.share_left_out == pytest.approx(1 / 3)


def test_a_case_has_one_stratum_and_time_goes_forward() -> None:
    tally = Tally()
    tally.add("c", "motor", Segment(_at(0), _at(1)))
    with pytest.raises(ValueError, match="was in stratum 'motor' before"):
        tally.add("c", "home", Segment(_at(0), _at(1)))
    with pytest.raises(ValueError, match="before it begins"):
        tally.add("c", "motor", Segment(_at(1), _at(0)))
