"""Sends ids to the workers: best effort, because the steward finds every case that no worker has heard of."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import structlog
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from shared.taskqueue.app import DECIDE, QUEUE
from shared.telemetry import trace

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from celery import Celery

log = structlog.get_logger()

# Ids in one order: enough to fill a worker's transaction, few enough that two workers share a small burst.
BATCH = 250
# A worker waits for Redis with patience; who only leaves a hint has other work. A frozen Redis costs some four times these seconds.
_IMPATIENT = {"socket_timeout": 1, "socket_connect_timeout": 1, "max_retries": 1, "interval_start": 0.1, "interval_max": 0.2}


class Order(NamedTuple):
    automation: str
    case_id: UUID


class Orders:
    """Orders for the workers, grouped by automation. The application belongs to it from then on: its patience with Redis is changed."""

    def __init__(self, app: Celery, batch: int = BATCH) -> None:
        app.conf.broker_transport_options = {**app.conf.broker_transport_options, **_IMPATIENT}
        self._app = app
        self._batch = batch

    def send(self, orders: Iterable[Order]) -> int:
        """Enqueue; returns how many ids were handed to Redis. Never raises because Redis is away."""
        by_automation: dict[str, list[str]] = defaultdict(list)
        for order in orders:
            by_automation[order.automation].append(str(order.case_id))
        sent = 0
        try:
            for automation, ids in by_automation.items():
                for start in range(0, len(ids), self._batch):
                    chunk = ids[start : start + self._batch]
                    self._send(automation, chunk)
                    sent += len(chunk)
        except (OperationalError, RedisError, OSError) as error:
            log.warning("orders_not_sent", error=type(error).__name__, sent=sent)
        return sent

    def depth(self) -> int | None:
        """Orders waiting in Redis, or None where it does not answer."""
        try:
            with self._app.connection_for_read() as connection:
                return int(connection.default_channel.client.llen(QUEUE))  # type: ignore[attr-defined]  # the Redis transport has it
        except (OperationalError, RedisError, OSError):
            return None

    def _send(self, automation: str, ids: list[str]) -> None:
        headers = {"traceparent": trace.current.get() or trace.new()}
        self._app.send_task(DECIDE, args=[automation, ids], queue=QUEUE, headers=headers, ignore_result=True)
