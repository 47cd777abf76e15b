"""The producer and what is in flight on it: the blocking side of `KafkaLog`, also used alone by threads.

Its library must not be trusted with a promise (docs of kafka-python 3.0.12): a producer may stop answering for ever, so whatever waits too
long is failed here and the producer replaced; and it has no bound on memory, so the callers have one.
"""

from __future__ import annotations

import importlib.util
import time
from dataclasses import dataclass
from functools import partial
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError

from shared.errors import InvariantBroken
from shared.eventlog.port import LogUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.eventlog.kafka_record import KafkaRecord
    from shared.settings import KafkaSettings

    # One entry per part of the flight: None where every record of it was acknowledged. Called once, from any thread.
    Landed = Callable[[list[BaseException | None]], None]

log = structlog.get_logger()

DELIVERY_SECONDS = 9.0
# Nothing acknowledged or failed for so long while something waits: the producer is dead (its own timeout is `DELIVERY_SECONDS`).
STUCK_SECONDS = 15.0
BLOCK_SECONDS = 2.0
CONNECT_SECONDS = 5.0


def refuse_slow_checksums() -> None:
    """Raises: InvariantBroken: `crc32c` or `lz4` is not installed; in pure Python a record costs 3 to 7 times the CPU."""
    for module in ("crc32c", "lz4"):
        if importlib.util.find_spec(module) is None:
            raise InvariantBroken(f"Kafka needs the package {module!r}: pip install 'recoup[kafka]'", module=module)


class _Flight:
    """Records on their way, in parts that succeed or fail on their own."""

    def __init__(self, parts: Sequence[int], landed: Landed) -> None:
        self.started = time.monotonic()
        self._errors: list[BaseException | None] = [None] * len(parts)
        self._left = sum(parts)
        self._landed: Landed | None = landed
        self._lock = Lock()

    def record_done(self, part: int, error: BaseException | None) -> bool:
        """True for the one that ends the flight."""
        with self._lock:
            self._errors[part] = self._errors[part] or error
            self._left -= 1
            if self._left:
                return False
        return self.land()

    def land(self, error: BaseException | None = None) -> bool:
        """Answer now; with an error, every part has failed. Only the first call counts."""
        with self._lock:
            landed, self._landed = self._landed, None
        if landed is not None:
            landed(self._errors if error is None else [error] * len(self._errors))
        return landed is not None


@dataclass(slots=True)
class _Pulse:
    """When the producer last gave a sign of life, and whether it was a good one."""

    answered: float
    acknowledged: bool = True


class KafkaSender:
    """Thread-safe. Nothing is sent before `connect` has succeeded."""

    def __init__(self, settings: KafkaSettings, client_id: str) -> None:
        refuse_slow_checksums()
        self._settings = settings
        self._client_id = client_id
        self._producer: Any = None
        self._flights: set[_Flight] = set()
        self._pulse = _Pulse(time.monotonic())
        self._lock = Lock()

    @property
    def connected(self) -> bool:
        return self._producer is not None

    @property
    def failing(self) -> bool:
        """The last thing heard was a failure, or nothing was heard for longer than a delivery may block."""
        return not self._pulse.acknowledged or self.silence > BLOCK_SECONDS

    @property
    def in_flight(self) -> int:
        return len(self._flights)

    @property
    def silence(self) -> float:
        """Seconds for which something has waited without any answer; 0 where nothing waits."""
        with self._lock:
            oldest = min((flight.started for flight in self._flights), default=None)
        return 0.0 if oldest is None else time.monotonic() - max(oldest, self._pulse.answered)

    def connect(self, topic: str) -> None:
        """Reach a broker and learn the topic's partitions; blocks for seconds.

        Raises:
            LogUnavailable: nobody answers, or the topic does not exist.
        """
        producer = None
        try:
            producer = KafkaProducer(**_configuration(self._settings, self._client_id))
            producer.partitions_for(topic)
        except KafkaError as error:
            if producer is not None:
                producer.close(timeout=0)
            raise LogUnavailable(detail=type(error).__name__) from error
        self._producer, self._pulse = producer, _Pulse(time.monotonic())

    def send(self, parts: Sequence[Sequence[KafkaRecord]], landed: Landed) -> None:
        """Hand over; blocks at most `BLOCK_SECONDS`, and ``landed`` is called in any case."""
        flight = _Flight([len(records) for records in parts], landed)
        producer = self._producer
        if producer is None:
            flight.land(LogUnavailable())
            return
        with self._lock:
            self._flights.add(flight)
        try:
            for number, records in enumerate(parts):
                self._send_part(producer, flight, number, records)
        except (KafkaError, ValueError) as error:
            self._failed(flight, LogUnavailable(detail=type(error).__name__))

    def replace_if_stuck(self, topic: str) -> bool:
        """Give up on a dead producer and everything it holds; True where it was replaced or could not be yet."""
        if self._producer is not None and self.silence <= STUCK_SECONDS:
            return False
        if self._producer is not None:
            log.error("kafka_producer_replaced", in_flight=self.in_flight)
            self._abandon()
        self.connect(topic)
        return True

    def close(self, timeout_seconds: float) -> None:
        """Wait for what is in flight; what is left then fails."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close(timeout=timeout_seconds)
        self._fail_all()

    def _send_part(self, producer: Any, flight: _Flight, part: int, records: Sequence[KafkaRecord]) -> None:
        for record in records:
            future = producer.send(record.topic, value=record.value, key=record.key, headers=record.headers)
            future.add_callback(partial(self._acknowledged, flight, part))
            future.add_errback(partial(self._refused, flight, part))

    def _acknowledged(self, flight: _Flight, part: int, _metadata: object) -> None:
        self._pulse = _Pulse(time.monotonic())
        if flight.record_done(part, None):
            self._forget(flight)

    def _refused(self, flight: _Flight, part: int, error: BaseException) -> None:
        self._pulse = _Pulse(time.monotonic(), acknowledged=False)
        if flight.record_done(part, LogUnavailable(detail=type(error).__name__)):
            self._forget(flight)

    def _failed(self, flight: _Flight, error: LogUnavailable) -> None:
        self._pulse = _Pulse(time.monotonic(), acknowledged=False)
        flight.land(error)
        self._forget(flight)

    def _forget(self, flight: _Flight) -> None:
        with self._lock:
            self._flights.discard(flight)

    def _abandon(self) -> None:
        producer, self._producer = self._producer, None
        # It may hang for ever, so nobody waits for it.
        Thread(target=partial(producer.close, timeout=0), name="abandoned-producer", daemon=True).start()
        self._fail_all()

    def _fail_all(self) -> None:
        with self._lock:
            flights, self._flights = self._flights, set()
        for flight in flights:
            flight.land(LogUnavailable())


def _configuration(settings: KafkaSettings, client_id: str) -> dict[str, object]:
    return {
        **settings.connection,
        "client_id": client_id,
        "acks": "all",
        # Idempotence kills the producer for ever after an outage longer than the delivery timeout; the inbox drops duplicates.
        "enable_idempotence": False,
        "batch_size": 262_144,
        "linger_ms": 5,
        "compression_type": "lz4",
        "max_block_ms": int(BLOCK_SECONDS * 1000),
        "request_timeout_ms": 5000,
        "delivery_timeout_ms": int(DELIVERY_SECONDS * 1000),
        "bootstrap_timeout_ms": int(CONNECT_SECONDS * 1000),
        "max_request_size": 1024 * 1024,
        "max_in_flight_requests_per_connection": 5,
        # The default of 30 s is silence after the broker has come back.
        "reconnect_backoff_max_ms": 500,
        "retry_backoff_ms": 100,
        "allow_auto_create_topics": False,
        "metrics_enabled": False,
    }
