"""Notices a consumer that has stopped: the loop that no longer turns, and the partition that waits in vain."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from threading import Event, Thread
from typing import TYPE_CHECKING

import structlog

from shared.errors import InvariantBroken

if TYPE_CHECKING:
    from shared.clock import Clock

log = structlog.get_logger()


class Stalled(InvariantBroken):
    """Records wait on a partition, and the consumer does not get them."""

    code = "consumer_stalled"


@dataclass(frozen=True, slots=True)
class _Standstill:
    position: int
    since: float


class Progress:
    """Where each partition stood when it last moved."""

    def __init__(self, clock: Clock, patience: timedelta) -> None:
        self._clock = clock
        self._patience = patience.total_seconds()
        self._standstills: dict[int, _Standstill] = {}

    def observe(self, positions: Mapping[int, tuple[int, int]]) -> None:
        """Note (position, end) by partition.

        Raises:
            Stalled: a partition has stood still for too long although something waits there.
        """
        now = self._clock.monotonic()
        self._standstills = {p: self._standstill(p, position, end, now) for p, (position, end) in positions.items()}
        stuck = [p for p, standstill in self._standstills.items() if now - standstill.since > self._patience]
        if stuck:
            raise Stalled(partitions=stuck)

    def forget(self) -> None:
        """There was a reason to stand still, as with a database that is away."""
        self._standstills.clear()

    def _standstill(self, partition: int, position: int, end: int, now: float) -> _Standstill:
        before = self._standstills.get(partition)
        if before is not None and position == before.position and end > position:
            return before
        return _Standstill(position, now)


class Pulse:
    """Ends the process when `beat` was not called for too long: some client calls have no timeout, so the loop cannot tell by itself."""

    def __init__(self, clock: Clock, hang_after: timedelta, end: Callable[[], None] = lambda: os._exit(1)) -> None:
        self._clock = clock
        self._hang_after = hang_after.total_seconds()
        self._end = end
        self._last = clock.monotonic()
        self._closed = Event()
        Thread(target=self._watch, name="pulse", daemon=True).start()

    def beat(self) -> None:
        self._last = self._clock.monotonic()

    @property
    def beats(self) -> bool:
        return self._clock.monotonic() - self._last < self._hang_after / 2

    def close(self) -> None:
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(self._hang_after / 10):
            if self._clock.monotonic() - self._last > self._hang_after:
                log.error("loop_hangs", seconds=self._hang_after)
                self._end()
