"""Lets appends that arrive together share one trip to the store, within bounded memory."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from shared.eventlog.port import LogBusy, LogUnavailable
from shared.telemetry import metrics, trace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from shared.intake.record import Incoming, Receipt

log = structlog.get_logger()

# Records that share a trip.
GROUP = 500


@dataclass(frozen=True, slots=True)
class Limits:
    """Attributes: records, size: of all appends that wait for an answer; ``size`` in bytes of bodies."""

    records: int = 20_000
    size: int = 64 * 1024 * 1024
    linger_seconds: float = 0.002
    deadline_seconds: float = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Append:
    """One caller's records, and where the answer goes."""

    records: Sequence[Incoming]
    receipts: asyncio.Future[list[Receipt]]

    def succeed(self, receipts: list[Receipt]) -> None:
        if not self.receipts.done():
            self.receipts.set_result(receipts)

    def fail(self, error: BaseException) -> None:
        if not self.receipts.done():
            self.receipts.set_exception(error)


class Grouping:
    """Collects appends and hands them over in groups; belongs to one asyncio loop.

    Args:
        handle: answers every append of its group (`Append.succeed` or `fail`); an exception answers those that are left.
        trips: groups that may be on their way at the same time.
    """

    def __init__(self, handle: Callable[[Sequence[Append]], Awaitable[None]], *, limits: Limits, trips: int) -> None:
        self._handle = handle
        self._limits = limits
        self._trips = asyncio.Semaphore(trips)
        self._waiting: deque[Append] = deque()
        self._arrived = asyncio.Event()
        self._records = 0
        self._size = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._collector: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._collector = asyncio.create_task(self._collect())

    async def append(self, records: Sequence[Incoming]) -> list[Receipt]:
        if self._collector is None:
            raise LogUnavailable
        if not records:
            return []
        size = sum(len(record.body) for record in records)
        self._reserve(len(records), size)
        try:
            return await self._answer(records)
        finally:
            self._reserve(-len(records), -size)

    async def close(self, timeout_seconds: float) -> None:
        """Wait for the groups on their way; appends that have not set out fail."""
        if self._collector is None:
            return
        self._collector.cancel()
        self._collector = None
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_seconds)
        while self._waiting:
            self._waiting.popleft().fail(LogUnavailable())

    def _reserve(self, records: int, size: int) -> None:
        if records > 0 and self._records and (self._records + records > self._limits.records or self._size + size > self._limits.size):
            raise LogBusy
        self._records += records
        self._size += size
        metrics.pending_appends.set(self._records)

    async def _answer(self, records: Sequence[Incoming]) -> list[Receipt]:
        append = Append(records, asyncio.get_running_loop().create_future())
        self._waiting.append(append)
        self._arrived.set()
        try:
            with metrics.append_seconds.time():
                return await asyncio.wait_for(append.receipts, self._limits.deadline_seconds)
        except TimeoutError:
            raise LogUnavailable("The event log did not acknowledge in time; send the events again") from None

    async def _collect(self) -> None:
        while True:
            await self._arrived.wait()
            await asyncio.sleep(self._limits.linger_seconds)
            await self._trips.acquire()
            group = self._group()
            if not group:
                self._trips.release()
                continue
            task = asyncio.create_task(self._trip(group))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _group(self) -> list[Append]:
        """Whole appends, at least one; those whose caller is gone are left out."""
        group: list[Append] = []
        count = 0
        while self._waiting and (not group or count + len(self._waiting[0].records) <= GROUP):
            append = self._waiting.popleft()
            if not append.receipts.done():
                group.append(append)
                count += len(append.records)
        if not self._waiting:
            self._arrived.clear()
        return group

    async def _trip(self, group: Sequence[Append]) -> None:
        try:
            await self._handle(group)
        except Exception as error:  # noqa: BLE001  # whatever it is, the callers must hear of it
            for append in group:
                append.fail(error)
        finally:
            self._trips.release()
        _tell(group)


def _tell(group: Sequence[Append]) -> None:
    answered = [append.receipts for append in group if append.receipts.done() and not append.receipts.cancelled()]
    receipts = Counter(receipt.value for future in answered if future.exception() is None for receipt in future.result())
    headers = (record.traceparent for append in group for record in append.records)
    log.info(
        "events_appended",
        **receipts,
        failed_appends=len(group) - sum(f.exception() is None for f in answered),
        trace_ids=trace.trace_ids(headers),
    )
