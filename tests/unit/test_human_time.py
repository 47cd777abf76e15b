"""What counts of a reviewer's stopwatch, and how far two clocks disagree."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from shared.measure.human_time import IDLE_CUT, NONE_SUBMITTED, Stopwatch, counted, disagreement

SECONDS = st.decimals(min_value=0, max_value=100_000, places=3)
# Cumulative readings, each a heartbeat.
READINGS = st.lists(st.decimals(min_value=0, max_value=60, places=3), min_size=1, max_size=30)


def _watch(counted_so_far: int, shown: int | None, sequence: int) -> Stopwatch:
    return Stopwatch(Decimal(counted_so_far), None if shown is None else Decimal(shown), sequence)


def test_an_hour_of_sleep_counts_as_one_idle_cut() -> None:
    assert counted(_watch(40, 40, 2), Decimal(3640), 3) == 100


def test_after_the_sleep_work_counts_again_whether_or_not_the_stopwatch_was_set_back() -> None:
    after_sleep = _watch(100, 3640, 3)
    assert counted(after_sleep, Decimal(3655), 4) == 115
    assert counted(after_sleep, Decimal(115), 4) == 115


def test_lost_heartbeats_cost_nothing() -> None:
    assert counted(_watch(30, 30, 1), Decimal(150), 10) == 150


def test_a_heartbeat_that_comes_late_or_twice_changes_nothing() -> None:
    assert counted(_watch(30, 30, 4), Decimal(30), 4) == 30
    assert counted(_watch(30, 30, 4), Decimal(500), 3) == 30


def test_a_claim_anew_begins_at_nothing_and_its_heartbeats_go_on_counting() -> None:
    assert counted(_watch(0, None, 7), Decimal(15), 8) == 15


def test_of_two_clocks_on_one_claim_the_one_that_is_behind_does_not_let_the_other_count_again() -> None:
    behind = counted(_watch(100, 100, 5), Decimal(20), 6)
    assert counted(_watch(int(behind), 20, 6), Decimal(110), 7) == 110


@given(READINGS)
def test_an_honest_clock_counts_in_full(steps: list[Decimal]) -> None:
    watch = Stopwatch(Decimal(0), None, -1)
    for sequence, step in enumerate(steps):
        shown = (watch.shown or Decimal(0)) + step
        watch = Stopwatch(counted(watch, shown, sequence), shown, sequence)
    assert watch.counted == sum(steps)


@given(st.lists(st.tuples(SECONDS, st.integers(0, 40)), max_size=30))
def test_no_more_counts_than_any_clock_has_shown(beats: list[tuple[Decimal, int]]) -> None:
    watch = Stopwatch(Decimal(0), None, -1)
    for shown, sequence in beats:
        total = counted(watch, shown, sequence)
        watch = Stopwatch(total, shown, sequence) if sequence > watch.sequence else watch
    assert watch.counted <= max((shown for shown, _ in beats), default=Decimal(0))


@given(st.lists(st.tuples(SECONDS, st.integers(0, 40)), max_size=30))
def test_no_sequence_of_heartbeats_counts_more_than_the_cut_for_each_or_goes_back(beats: list[tuple[Decimal, int]]) -> None:
    watch, totals = Stopwatch(Decimal(0), None, -1), [Decimal(0)]
    for shown, sequence in beats:
        totals.append(counted(watch, shown, sequence))
        if sequence > watch.sequence:
            watch = Stopwatch(totals[-1], shown, sequence)
    assert all(earlier <= later for earlier, later in pairwise(totals))
    assert totals[-1] <= IDLE_CUT * (watch.sequence + 1)


def test_both_directions_of_disagreement_are_added_up_and_not_set_off() -> None:
    together = disagreement(Decimal(40), Decimal(110)) + disagreement(Decimal(90), Decimal(30))
    assert (together.reviews, together.apart, together.difference, together.beyond_span) == (2, 1, Decimal(130), Decimal(60))
    assert together.share == Decimal(130) / Decimal(140)


def test_without_a_review_there_is_no_share() -> None:
    assert NONE_SUBMITTED.share is None
    assert NONE_SUBMITTED + disagreement(Decimal(1), Decimal(1)) == disagreement(Decimal(1), Decimal(1))
