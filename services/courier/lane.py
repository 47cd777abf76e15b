"""How much one endpoint may have at once: starts small, grows with quick successes, shrinks when slow, closes when it only fails."""

from __future__ import annotations

from dataclasses import dataclass, replace

_FIRST = 2
# Failures in a row that open the circuit, and how long it stays open: doubled by each further failure.
_TRIPS_AFTER = 5
_OPEN_SECONDS = 2.0
_LONGEST_OPEN_SECONDS = 60.0
# An endpoint that answers slower than this keeps few attempts in flight, so that many slow ones cannot take every slot.
_SLOW_SECONDS = 1.0
_SLOW_LIMIT = 2


@dataclass(frozen=True, slots=True)
class Lane:
    """Health of one endpoint as this process sees it; nothing of it is stored.

    Attributes:
        limit: attempts that may be in flight.
        failures: in a row.
        closed_until: monotonic; no attempt starts before.
    """

    most: int
    limit: int
    failures: int = 0
    closed_until: float = 0.0

    @classmethod
    def fresh(cls, most: int) -> Lane:
        return cls(most=most, limit=min(_FIRST, most))

    def is_open(self, now: float) -> bool:
        return now >= self.closed_until

    def succeeded(self, seconds: float) -> Lane:
        if seconds > _SLOW_SECONDS:
            return replace(self, failures=0, limit=min(_SLOW_LIMIT, self.most))
        return replace(self, failures=0, limit=min(self.limit + 1, self.most))

    def failed(self, now: float) -> Lane:
        """After the fifth failure in a row only one attempt at a time probes the endpoint, ever more seldom."""
        failures = self.failures + 1
        if failures < _TRIPS_AFTER:
            return replace(self, failures=failures, limit=max(1, self.limit // 2))
        closed = min(_OPEN_SECONDS * 2.0 ** min(failures - _TRIPS_AFTER, 10), _LONGEST_OPEN_SECONDS)
        return replace(self, failures=failures, limit=1, closed_until=max(self.closed_until, now + closed))

    def paused(self, until: float) -> Lane:
        """The receiver asked for patience."""
        return replace(self, limit=1, closed_until=max(self.closed_until, until))
