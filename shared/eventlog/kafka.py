"""Kafka as the log: an append returns after every in-sync replica has the records."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from shared.eventlog.grouping import Append, Grouping, Limits
from shared.eventlog.kafka_record import kafka_record
from shared.eventlog.kafka_sender import DELIVERY_SECONDS, KafkaSender
from shared.eventlog.port import LogUnavailable
from shared.eventlog.reachable import some_broker_listens
from shared.intake.record import Receipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.eventlog.kafka_sender import Landed
    from shared.intake.known import KnownEvents
    from shared.intake.record import Identity, Incoming
    from shared.settings import KafkaSettings

log = structlog.get_logger()

# Groups that wait for the broker at a time; the limits on records and bytes are the real bound.
TRIPS = 1000
CHECK_SECONDS = 1.0
SILENCE_SECONDS = 1.0


class KafkaLog:
    """Every record is appended, also a known one: the inbox counts what came in, and a wrong hint must never lose an event.

    While the broker does not answer, one append at a time finds out whether it is back; the others are refused at once.

    Args:
        known: tells duplicates and conflicts apart where it can; None: every append is ACCEPTED.
    """

    def __init__(self, settings: KafkaSettings, known: KnownEvents | None = None, limits: Limits | None = None) -> None:
        self._settings = settings
        self._topic = settings.events_topic
        self._known = known
        self._limits = limits or Limits()
        self._sender = KafkaSender(settings, "recoup-gateway")
        self._reachable = False

    async def start(self) -> None:
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="kafka-send")
        self._grouping = Grouping(self._send, limits=self._limits, trips=TRIPS)
        self._grouping.start()
        self._watch = asyncio.create_task(self._keep_watch())

    async def append(self, records: Sequence[Incoming]) -> list[Receipt]:
        if not self._sender.connected or (self._sender.failing and self._sender.in_flight):
            raise LogUnavailable
        return await self._grouping.append(records)

    async def close(self) -> None:
        self._watch.cancel()
        with suppress(asyncio.CancelledError):
            await self._watch
        await self._grouping.close(DELIVERY_SECONDS)
        await asyncio.get_running_loop().run_in_executor(None, self._sender.close, 2.0)
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._known is not None:
            await self._known.close()

    def ready(self) -> bool:
        return self._sender.connected and self._reachable and not self._sender.silence > SILENCE_SECONDS

    async def _send(self, group: Sequence[Append]) -> None:
        records = [record for append in group for record in append.records]
        known = await self._known.digests(records) if self._known is not None else {}
        errors = await self._deliver([append.records for append in group])
        kept = [append for append, error in zip(group, errors, strict=True) if error is None]
        if self._known is not None:
            await self._known.remember([record for append in kept for record in append.records])
        for append, error in zip(group, errors, strict=True):
            if error is not None:
                append.fail(error)
            else:
                append.succeed([_receipt(known, record) for record in append.records])

    async def _deliver(self, parts: Sequence[Sequence[Incoming]]) -> list[BaseException | None]:
        loop = asyncio.get_running_loop()
        landed: asyncio.Future[list[BaseException | None]] = loop.create_future()

        def answer(errors: list[BaseException | None]) -> None:
            # After the loop's end there is nobody left to answer.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_resolve, landed, errors)

        await loop.run_in_executor(self._threads, self._hand_over, parts, answer)
        return await landed

    def _hand_over(self, parts: Sequence[Sequence[Incoming]], answer: Landed) -> None:
        self._sender.send([[kafka_record(self._topic, record) for record in records] for records in parts], answer)

    async def _keep_watch(self) -> None:
        """Connect, replace a dead producer, and look whether a broker listens."""
        loop = asyncio.get_running_loop()
        while True:
            self._reachable = await loop.run_in_executor(None, some_broker_listens, self._settings.bootstrap_servers)
            try:
                # Not before somebody listens: a producer that finds nobody leaves threads behind.
                if self._reachable:
                    await loop.run_in_executor(None, self._sender.replace_if_stuck, self._topic)
            except LogUnavailable as error:
                log.warning("kafka_unavailable", detail=error.context.get("detail"))
            await asyncio.sleep(CHECK_SECONDS)


def _resolve(landed: asyncio.Future[list[BaseException | None]], errors: list[BaseException | None]) -> None:
    if not landed.done():
        landed.set_result(errors)


def _receipt(known: dict[Identity, bytes], record: Incoming) -> Receipt:
    """Records of one group see each other: the first of an identity is known to the next."""
    first = known.get(record.identity)
    if first is None:
        known[record.identity] = record.body_sha256
        return Receipt.ACCEPTED
    return Receipt.DUPLICATE if first == record.body_sha256 else Receipt.CONFLICT
