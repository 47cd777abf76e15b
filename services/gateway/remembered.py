"""Answers of the database that are asked for with every request: remembered for seconds, asked for once at a time, off the event loop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from starlette.concurrency import run_in_threadpool

from shared.errors import Rejected, Retryable

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.clock import Clock

K = TypeVar("K")
V = TypeVar("V")

_MOST: Final = 10_000


@dataclass(slots=True)
class _Known(Generic[V]):
    value: V
    verified_at: float
    # Before this it is not asked again.
    ask_at: float


class Remembered(Generic[K, V]):
    """Asks ``load`` in a thread.

    Args:
        load: raises Rejected where the answer is no (never remembered), Retryable where there is none.
        fresh_seconds: an answer, also a changed one, is used at most this long.
        trust_seconds: while ``load`` raises Retryable, an answer is used this long.
    """

    def __init__(self, load: Callable[[K], V], clock: Clock, *, fresh_seconds: float, trust_seconds: float) -> None:
        self._load = load
        self._clock = clock
        self._fresh = fresh_seconds
        self._trust = trust_seconds
        self._known: dict[K, _Known[V]] = {}
        self._flights: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K) -> V:
        """Raises what ``load`` raises."""
        known = self._known.get(key)
        if known is not None and self._clock.monotonic() < known.ask_at:
            return known.value
        try:
            return await asyncio.shield(self._flight(key))
        except Retryable:
            now = self._clock.monotonic()
            if known is None or now - known.verified_at > self._trust:
                raise
            known.ask_at = now + self._fresh
            return known.value

    def _flight(self, key: K) -> asyncio.Task[V]:
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.create_task(self._ask(key))
            flight.add_done_callback(lambda done: self._landed(key, done))
        return flight

    def _landed(self, key: K, flight: asyncio.Task[V]) -> None:
        self._flights.pop(key, None)
        # Read, because every caller may have gone away.
        if not flight.cancelled():
            flight.exception()

    async def _ask(self, key: K) -> V:
        asked_at = self._clock.monotonic()
        try:
            value = await run_in_threadpool(self._load, key)
        except Rejected:
            self._known.pop(key, None)
            raise
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = _Known(value, asked_at, asked_at + self._fresh)
        return value
