"""When a consumer counts as stopped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Event

import pytest

from services.dispatcher.progress import Progress, Pulse, Stalled
from shared.clock import SystemClock


class SetClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def progress(clock: SetClock) -> Progress:
    return Progress(clock, timedelta(seconds=30))


def test_one_partition_that_stands_still_before_waiting_records_is_a_stall(clock: SetClock, progress: Progress) -> None:
    for second in range(0, 31, 5):
        clock.seconds = second
        progress.observe({0: (10, 20), 1: (second, 1000)})
    clock.seconds = 31
    with pytest.raises(Stalled) as caught:
        progress.observe({0: (10, 20), 1: (31, 1000)})
    assert caught.value.context == {"partitions": [0]}


def test_a_partition_without_waiting_records_may_stand_still_for_ever(clock: SetClock, progress: Progress) -> None:
    for second in range(0, 1000, 5):
        clock.seconds = second
        progress.observe({0: (10, 10)})
    progress.observe({0: (10, 11)})


def test_a_partition_that_was_away_starts_anew(clock: SetClock, progress: Progress) -> None:
    progress.observe({0: (10, 20)})
    clock.seconds = 25
    progress.observe({})
    progress.observe({0: (10, 20)})
    clock.seconds = 50
    progress.observe({0: (10, 20)})


def test_a_reason_to_stand_still_is_forgiven(clock: SetClock, progress: Progress) -> None:
    progress.observe({0: (10, 20)})
    clock.seconds = 100
    progress.forget()
    progress.observe({0: (10, 20)})


def test_a_loop_that_no_longer_turns_is_ended_and_one_that_turns_is_not() -> None:
    ended = Event()
    pulse = Pulse(SystemClock(), timedelta(seconds=0.3), ended.set)
    for _ in range(10):
        pulse.beat()
        assert not ended.wait(0.05)
    assert ended.wait(5)
    pulse.close()
