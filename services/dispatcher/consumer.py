"""The loop: poll, store, commit the offsets, announce. Nothing is held across two polls, and there is no rebalance listener."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, RetriableError
from kafka.structs import OffsetAndMetadata

from services.dispatcher.lag import Lags
from services.dispatcher.lenient_names import read_any_header_name
from services.dispatcher.records import Raw
from shared.errors import Retryable

if TYPE_CHECKING:
    from threading import Event

    from services.dispatcher.dead_letters import DeadLetters
    from services.dispatcher.progress import Progress, Pulse
    from services.dispatcher.service import Intake
    from shared.clock import Clock
    from shared.intake.announcer import Announcer
    from shared.settings import KafkaSettings

log = structlog.get_logger()

POLL_MILLISECONDS = 200
COMMIT_MILLISECONDS = 5000
LOOK_SECONDS = 5.0
LOOK_MILLISECONDS = 2000
# Waiting times while the database is away.
SHORTEST_HOLD, LONGEST_HOLD = 0.2, 5.0

Polled = Mapping[TopicPartition, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Line:
    """What a batch goes through, in this order."""

    intake: Intake
    announcer: Announcer
    dead_letters: DeadLetters


def consumer(settings: KafkaSettings, batch: int) -> KafkaConsumer:
    """Blocks for seconds. Raises: KafkaError: no broker answers."""
    read_any_header_name()
    return KafkaConsumer(
        settings.events_topic,
        **settings.connection,
        client_id="recoup-dispatcher",
        group_id=settings.consumer_group,
        enable_auto_commit=False,
        # The default, latest, would skip what a new group finds.
        auto_offset_reset="earliest",
        max_poll_records=batch,
        fetch_max_wait_ms=100,
        max_poll_interval_ms=300_000,
        # A killed dispatcher's partitions are taken over after 10 s instead of 45.
        session_timeout_ms=10_000,
        heartbeat_interval_ms=3000,
        request_timeout_ms=15_000,
        bootstrap_timeout_ms=5000,
        reconnect_backoff_max_ms=500,
        retry_backoff_ms=100,
        # How long partitions that were added are not read; by default five minutes. Version 3.0.12 also forgets that it was told of a topic
        # while an older question about topics was on its way: then it has no partition at all until it asks again.
        metadata_max_age_ms=15_000,
        check_crcs=True,
        allow_auto_create_topics=False,
        metrics_enabled=False,
    )


class Loop:
    """Belongs to one thread.

    Args:
        client: from `consumer`.
    """

    def __init__(self, client: KafkaConsumer, line: Line, progress: Progress, pulse: Pulse, clock: Clock) -> None:
        self._client = client
        self._line = line
        self._progress = progress
        self._pulse = pulse
        self._clock = clock
        self._lags = Lags()
        self._next_look = clock.monotonic()
        self.kafka_answers = False
        self.database_answers = True

    def run(self, stopped: Event) -> None:
        """Until told to stop; the batch in hand is finished, unless the database is away: then it is left uncommitted.

        Raises:
            Stalled: a partition does not move although records wait on it.
        """
        while not stopped.is_set():
            self._pulse.beat()
            polled = self._poll(POLL_MILLISECONDS)
            if polled:
                self._handle(polled, stopped)
            if self._clock.monotonic() >= self._next_look:
                self._look()

    def _handle(self, polled: Polled, stopped: Event) -> None:
        raws = [_raw(record) for record in chain.from_iterable(polled.values())]
        hold = SHORTEST_HOLD
        while not stopped.is_set():
            self._pulse.beat()
            try:
                outcome = self._line.intake.put_away(raws)
            except Retryable as error:
                self.database_answers = False
                log.warning("batch_waits_for_database", records=len(raws), code=error.code)
                self._hold(hold, stopped)
                hold = min(2 * hold, LONGEST_HOLD)
                continue
            self.database_answers = True
            self._commit(polled)
            self._line.announcer.announce(outcome.orders)
            self._line.dead_letters.send(outcome.poison)
            break
        self._client.resume(*self._client.paused())

    def _poll(self, milliseconds: int) -> Polled:
        """Nothing where the broker is away: the client connects again by itself."""
        try:
            polled: Polled = self._client.poll(timeout_ms=milliseconds)
        except RetriableError as error:
            log.warning("kafka_unavailable", error=type(error).__name__)
            self.kafka_answers = False
            time.sleep(milliseconds / 1000)
            return {}
        return polled

    def _hold(self, seconds: float, stopped: Event) -> None:
        """Stay in the group without taking more: whatever a poll brings all the same is given back by seeking."""
        self._progress.forget()
        until = self._clock.monotonic() + seconds
        while not stopped.is_set() and self._clock.monotonic() < until:
            self._pulse.beat()
            # Again each time: partitions that have just been assigned are not paused.
            self._client.pause(*self._client.assignment())
            for partition, records in self._poll(100).items():
                self._client.seek(partition, records[0].offset)

    def _commit(self, polled: Polled) -> None:
        """A failure costs nothing but duplicates, as when the partition has gone to somebody else in the meantime."""
        # Explicit, and last + 1: without arguments it would commit what was polled.
        offsets = {partition: OffsetAndMetadata(records[-1].offset + 1, "", -1) for partition, records in polled.items()}
        try:
            self._client.commit(offsets, timeout_ms=COMMIT_MILLISECONDS)
        except KafkaError as error:
            log.warning("offsets_not_committed", error=type(error).__name__)

    def _look(self) -> None:
        """How far behind each partition is, and whether it moves."""
        partitions = list(self._client.assignment())
        try:
            ends = self._client.end_offsets(partitions, timeout_ms=LOOK_MILLISECONDS) if partitions else {}
            positions = {p.partition: (self._client.position(p, timeout_ms=LOOK_MILLISECONDS), ends[p]) for p in partitions}
            self.kafka_answers = True
        except KafkaError as error:
            log.warning("kafka_unavailable", error=type(error).__name__)
            self.kafka_answers = False
            positions = {}
        self._next_look = self._clock.monotonic() + LOOK_SECONDS
        known = {p: (position, end) for p, (position, end) in positions.items() if position is not None}
        self._lags.tell((p.partition for p in partitions), known)
        self._progress.observe(known)


def _raw(record: Any) -> Raw:
    return Raw(record.topic, record.partition, record.offset, record.timestamp, record.value, record.headers)
