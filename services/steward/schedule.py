"""When a periodic job is due: time is cut into slots of the job's period, and each slot is run once, by whoever claims it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do once in a while.

    Attributes:
        run: returns how many rows it touched.
        everywhere: it only reads and sets this process's gauges, so every steward runs it in every slot and none claims it.
    """

    name: str
    period: timedelta
    run: Callable[[], int]
    everywhere: bool = False


def slot_of(moment: datetime, period: timedelta) -> datetime:
    """Start of the slot that ``moment`` is in."""
    return moment - (moment - _EPOCH) % period


def until_next(moment: datetime, period: timedelta) -> float:
    """Seconds until the next slot begins."""
    return (slot_of(moment, period) + period - moment).total_seconds()
