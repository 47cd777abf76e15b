"""What this process has claimed, per endpoint: which delivery goes next, and how many more may be claimed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.courier.lane import Lane
from services.courier.values import Demand

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from services.courier.values import Claimed

# Claimed ahead of need, as a multiple of a lane's limit: hides the round trip to the database.
_AHEAD = 4


@dataclass(slots=True)
class _Stretch:
    lane: Lane
    waiting: deque[Claimed] = field(default_factory=deque)
    in_flight: int = 0

    def ready(self, now: float) -> bool:
        return bool(self.waiting) and self.in_flight < self.lane.limit and self.lane.is_open(now)

    def room(self, now: float) -> int:
        if not self.lane.is_open(now):
            return 0
        # After failures only what can start at once: the rest would lie here while its lease runs.
        ahead = self.lane.limit if self.lane.failures else self.lane.limit * _AHEAD
        return max(0, ahead - len(self.waiting) - self.in_flight)


class Traffic:
    """Not thread-safe: belongs to the event loop."""

    def __init__(self, *, concurrency: int, endpoint_concurrency: int) -> None:
        self._concurrency = concurrency
        self._most = endpoint_concurrency
        self._stretches: dict[UUID, _Stretch] = {}
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        return self._in_flight

    @property
    def claimed(self) -> int:
        return self._in_flight + sum(len(stretch.waiting) for stretch in self._stretches.values())

    def demand(self, now: float) -> Demand:
        """What may be claimed; endpoints without a stretch get as much as a fresh one."""
        return Demand(
            rooms={endpoint: stretch.room(now) for endpoint, stretch in self._stretches.items()},
            fresh=Lane.fresh(self._most).limit * _AHEAD,
            total=max(0, self._concurrency * 2 - self.claimed),
        )

    def admit(self, claimed: Iterable[Claimed]) -> None:
        for delivery in claimed:
            self._stretch(delivery.endpoint_id).waiting.append(delivery)

    def start(self, now: float) -> list[Claimed]:
        """Take what may be sent now, one of each endpoint in turn."""
        started: list[Claimed] = []
        ready = deque(stretch for stretch in self._stretches.values() if stretch.ready(now))
        while ready and self._in_flight < self._concurrency:
            stretch = ready.popleft()
            started.append(stretch.waiting.popleft())
            stretch.in_flight += 1
            self._in_flight += 1
            if stretch.ready(now):
                ready.append(stretch)
        return started

    def finish(self, endpoint: UUID, lane: Lane) -> None:
        """One attempt has ended, and this is what it says about the endpoint."""
        stretch = self._stretch(endpoint)
        stretch.lane = lane
        stretch.in_flight -= 1
        self._in_flight -= 1

    def lane(self, endpoint: UUID) -> Lane:
        return self._stretch(endpoint).lane

    def stale(self, now: float) -> list[Claimed]:
        """Take out what cannot be sent in time: its endpoint closed, or its lease is too short by now."""
        found: list[Claimed] = []
        for stretch in self._stretches.values():
            closed = not stretch.lane.is_open(now)
            found += [delivery for delivery in stretch.waiting if closed or delivery.start_before <= now]
            stretch.waiting = deque(delivery for delivery in stretch.waiting if not closed and delivery.start_before > now)
        return found

    def drain(self) -> list[Claimed]:
        """Take out everything that has not been started."""
        found = [delivery for stretch in self._stretches.values() for delivery in stretch.waiting]
        for stretch in self._stretches.values():
            stretch.waiting.clear()
        return found

    def forget_idle(self, now: float) -> None:
        """Endpoints come and go: drop the healthy ones that have nothing to do."""
        for endpoint, stretch in list(self._stretches.items()):
            if not stretch.waiting and not stretch.in_flight and not stretch.lane.failures and stretch.lane.is_open(now):
                del self._stretches[endpoint]

    def _stretch(self, endpoint: UUID) -> _Stretch:
        return self._stretches.setdefault(endpoint, _Stretch(Lane.fresh(self._most)))
