"""The decisions topic: CloudEvents in structured mode, keyed by case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import crc32c  # noqa: F401  # without the wheel kafka-python computes checksums in Python, three to seven times the CPU
import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError

from shared.errors import Retryable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from services.courier.values import Unpublished
    from shared.clock import Clock
    from shared.settings import KafkaSettings

log = structlog.get_logger()

# Longer than the producer's own delivery timeout: by then every future has ended, or the producer hangs.
_ACK_SECONDS = 12.0


class TopicUnavailable(Retryable):
    """The decisions topic does not acknowledge right now."""

    code = "topic_unavailable"


class DecisionsTopic:
    """Not thread-safe: used by one thread."""

    def __init__(self, settings: KafkaSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._producer: KafkaProducer | None = None

    def send(self, decisions: Sequence[Unpublished]) -> list[UUID]:
        """Returns those that the topic has acknowledged.

        Raises:
            TopicUnavailable: none of them.
        """
        deadline = self._clock.monotonic() + _ACK_SECONDS
        try:
            producer = self._connected()
            futures = [(decision.id, self._offer(producer, decision)) for decision in decisions]
        except KafkaError as error:
            self.close()
            raise TopicUnavailable(detail=type(error).__name__) from error
        acknowledged = [identity for identity, future in futures if self._succeeds(future, deadline)]
        if decisions and not acknowledged:
            # Failed or hanging: either way a fresh producer is the safer one to go on with.
            self.close()
            raise TopicUnavailable
        return acknowledged

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close(timeout=1)

    def _connected(self) -> KafkaProducer:
        if self._producer is None:
            self._producer = KafkaProducer(
                **self._settings.connection,
                client_id="recoup-courier",
                acks="all",
                # A producer with idempotence does not survive an outage longer than its delivery timeout (3.0.12); duplicates carry the
                # same CloudEvents id.
                enable_idempotence=False,
                linger_ms=5,
                batch_size=262144,
                compression_type="lz4",
                max_block_ms=2000,
                bootstrap_timeout_ms=5000,
                request_timeout_ms=5000,
                delivery_timeout_ms=10000,
                max_request_size=1024 * 1024,
                reconnect_backoff_max_ms=500,
                retry_backoff_ms=100,
            )
        return self._producer

    def _offer(self, producer: KafkaProducer, decision: Unpublished) -> Any:
        headers = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
        if decision.traceparent is not None:
            headers.append(("traceparent", decision.traceparent.encode()))
        return producer.send(self._settings.decisions_topic, key=str(decision.case_id).encode(), value=decision.body, headers=headers)

    def _succeeds(self, future: Any, deadline: float) -> bool:
        try:
            future.get(timeout=max(0.0, deadline - self._clock.monotonic()))
        except KafkaError as error:
            log.warning("decision_not_published", error=type(error).__name__)
            return False
        return True
