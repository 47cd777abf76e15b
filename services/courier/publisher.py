"""Publishes decisions that the topic has not acknowledged; of several couriers one does it, chosen by a lock in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from services.courier import repository
from services.courier.leadership import Leadership
from shared.db import unit_of_work
from shared.telemetry import metrics, trace

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from services.courier.topic import DecisionsTopic

log = structlog.get_logger()

_BATCH = 500


class Publisher:
    """Not thread-safe: one call at a time."""

    def __init__(self, engine: Engine, topic: DecisionsTopic) -> None:
        self._engine = engine
        self._topic = topic
        self._leadership = Leadership(engine)

    def step(self) -> int:
        """Publish one batch; no transaction is open while the topic is asked.

        Returns:
            How many were published; 0 where there were none or another courier does it.

        Raises:
            Retryable: the database or the topic is away.
        """
        if not self._leadership.is_held():
            return 0
        with unit_of_work(self._engine) as connection:
            decisions = repository.unpublished(connection, limit=_BATCH)
        if not decisions:
            return 0
        acknowledged = self._topic.send(decisions)
        with unit_of_work(self._engine) as connection:
            repository.mark_published(connection, acknowledged)
        metrics.published.inc(len(acknowledged))
        log.info(
            "decisions_published",
            acknowledged=len(acknowledged),
            of=len(decisions),
            trace_ids=trace.trace_ids(decision.traceparent for decision in decisions),
        )
        return len(acknowledged)

    def close(self) -> None:
        self._topic.close()
        self._leadership.resign()
