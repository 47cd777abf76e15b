"""How long a case rests after a failed run."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.worker.backoff import delay

BASE, CAP = timedelta(seconds=2), timedelta(minutes=5)


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 2), (2, 4), (5, 32), (9, 300), (1000, 300)])
def test_the_longest_rest_doubles_up_to_the_cap(attempt: int, seconds: int) -> None:
    assert delay(attempt, BASE, CAP, 1.0) == timedelta(seconds=seconds)


@given(st.integers(1, 100), st.floats(0, 1))
def test_at_least_half_of_it_is_waited(attempt: int, draw: float) -> None:
    assert delay(attempt, BASE, CAP, 1.0) / 2 <= delay(attempt, BASE, CAP, draw) <= CAP
