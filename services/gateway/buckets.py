"""How fast one sender may send: a token bucket each, in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import TooManyRequests

if TYPE_CHECKING:
    from uuid import UUID

    from shared.clock import Clock


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class Buckets:
    """One bucket for each verified key or source, so their number is bounded by what the tenants have created.

    Args:
        per_second: tokens that come back; one event takes one.
        burst: tokens of a full bucket.
    """

    def __init__(self, clock: Clock, *, per_second: float, burst: int) -> None:
        self._clock = clock
        self._per_second = per_second
        self._burst = burst
        self._buckets: dict[UUID, _Bucket] = {}

    @property
    def per_minute(self) -> int:
        return int(self._per_second * 60)

    def take(self, sender: UUID, events: int = 1) -> None:
        """Take tokens, or none.

        Raises:
            TooManyRequests: with ``retry_after`` in whole seconds.
        """
        now = self._clock.monotonic()
        bucket = self._buckets.setdefault(sender, _Bucket(self._burst, now))
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.filled_at) * self._per_second)
        bucket.filled_at = now
        if bucket.tokens < events:
            raise TooManyRequests(retry_after=int((events - bucket.tokens) / self._per_second) + 1)
        bucket.tokens -= events
