"""Two clocks: ``now`` is stored and never subtracted for a duration, ``monotonic`` is subtracted and never stored."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary point; only differences mean something."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251  # the one place

    def monotonic(self) -> float:
        return time.monotonic()
