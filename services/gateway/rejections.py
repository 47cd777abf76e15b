"""Counts what was refused at the door, so that the conservation of events holds for it too."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog
from starlette.concurrency import run_in_threadpool

from shared.errors import Retryable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from shared.clock import Clock

log = structlog.get_logger()

FLUSH_SECONDS: Final = 1.0


class Rejections:
    """Refused events by tenant, automation and hour, written every second. Best effort: a crash forgets at most one second.

    Args:
        write: takes tenant, hour and events by automation.
    """

    def __init__(self, write: Callable[[str, datetime, Mapping[str, int]], None], clock: Clock) -> None:
        self._write = write
        self._clock = clock
        # At most tenants x automations entries an hour, also while Postgres is away.
        self._waiting: dict[tuple[str, datetime], Counter[str]] = defaultdict(Counter)

    def add(self, tenant: str, automation: str, events: int = 1) -> None:
        hour = self._clock.now().replace(minute=0, second=0, microsecond=0)
        self._waiting[tenant, hour][automation] += events

    async def run(self, stop: asyncio.Event) -> None:
        """Flush every second until ``stop`` is set, and once more then."""
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        for key in list(self._waiting):
            counts = self._waiting.pop(key)
            try:
                await run_in_threadpool(self._write, *key, counts)
            except Retryable:
                self._waiting[key] += counts
                return
            except Exception:  # a count that cannot be written must not end the counting
                log.exception("rejections_not_counted", tenant=key[0], events=counts.total())
