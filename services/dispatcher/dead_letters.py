"""Copies of buried records on the dead-letter topic, for whoever watches Kafka: best effort, the table `poison_records` is the truth.

A copy has headers of its own, `error`, `topic`, `partition`, `offset` and, where it is known, `tenant`; then the others that the record
came with, as far as the table keeps them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import structlog

from services.dispatcher.kept_headers import came_with
from shared.errors import Retryable
from shared.eventlog.kafka_record import TENANT, KafkaRecord
from shared.eventlog.kafka_sender import KafkaSender

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.dispatcher.records import Poison
    from shared.settings import KafkaSettings

log = structlog.get_logger()

# Batches that may wait for the topic; what comes after is in the table only.
WAITING = 16
# A record holds 1 MiB, with its headers: what is nearly as large is copied without those that it came with.
LARGEST_WITH_HEADERS = 1_000_000


class DeadLetters:
    def __init__(self, settings: KafkaSettings) -> None:
        self._topic = settings.dead_topic
        self._sender = KafkaSender(settings, "recoup-dispatcher")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dead-letters")
        self._waiting = 0

    def send(self, poison: Sequence[Poison]) -> None:
        """Returns at once; a topic that is away or full costs the copies, nothing else."""
        if poison and self._waiting < WAITING:
            self._waiting += 1
            self._thread.submit(self._send, list(poison))

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._sender.close(timeout_seconds=2)

    def _send(self, poison: Sequence[Poison]) -> None:
        try:
            if not self._sender.connected:
                self._sender.connect(self._topic)
            self._sender.send([[self._record(p)] for p in poison], _landed)
        except Retryable as error:
            log.warning("dead_letters_not_sent", records=len(poison), detail=error.context.get("detail"))
        finally:
            self._waiting -= 1

    def _record(self, poison: Poison) -> KafkaRecord:
        raw = poison.raw
        facts = {"error": poison.error, "topic": raw.topic, "partition": raw.partition, "offset": raw.offset}
        headers = [(name, str(value).encode()) for name, value in facts.items()]
        if poison.tenant is not None:
            headers.append((TENANT, poison.tenant.encode()))
        if len(raw.value or b"") <= LARGEST_WITH_HEADERS:
            own = {*facts, TENANT}
            # The client sends no header without a value.
            headers += [(name, value or b"") for name, value in came_with(raw.headers) if name not in own]
        return KafkaRecord(self._topic, None, raw.value or b"", headers)


def _landed(errors: Sequence[BaseException | None]) -> None:
    lost = sum(error is not None for error in errors)
    if lost:
        log.warning("dead_letters_not_sent", records=lost)
