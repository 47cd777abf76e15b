"""How long a case rests after a failed run."""

from __future__ import annotations

from datetime import timedelta


def delay(attempt: int, base: timedelta, cap: timedelta, draw: float) -> timedelta:
    """Doubles with each attempt, from ``base`` up to ``cap``; between half and all of it.

    Args:
        attempt: the one that failed, from 1.
        draw: 0..1, at random: cases that failed together must not come back together.
    """
    doublings = min(attempt - 1, 30)
    whole = min(base * (1 << doublings), cap)
    return whole * (0.5 + draw / 2)
