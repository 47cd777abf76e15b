"""Tells the workers about new cases without making anybody wait for Redis."""

from __future__ import annotations

import time
from queue import Empty, Full, Queue
from threading import Thread
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.taskqueue.orders import Order, Orders

log = structlog.get_logger()

# Batches that may wait while Redis is slow; what comes after is left to the steward.
WAITING = 256
# A worker pays some milliseconds for each order and a fraction of one for each case in it. The first case after a pause goes at once;
# those that follow it closely share an order.
INTERVAL_SECONDS = 0.1


class Announcer:
    """Sends orders from a thread of its own. Orders that find it full are dropped: the steward sends every case that waits too long."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        # None ends the thread.
        self._queue: Queue[Sequence[Order] | None] = Queue(WAITING)
        self._thread = Thread(target=self._run, name="announcer", daemon=True)
        self._thread.start()

    def announce(self, orders: Sequence[Order]) -> None:
        if not orders:
            return
        try:
            self._queue.put_nowait(orders)
        except Full:
            log.warning("orders_left_to_the_steward", orders=len(orders))

    def close(self, timeout_seconds: float = 2) -> None:
        """Send what waits, as far as it goes in that time."""
        try:
            self._queue.put(None, timeout=timeout_seconds)
        except Full:
            return
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        next_at = time.monotonic()
        while (first := self._queue.get()) is not None:
            time.sleep(max(0.0, next_at - time.monotonic()))
            orders, last = self._and_what_waits(first)
            try:
                self._orders.send(orders)
            except Exception:
                # Whatever it is, the next orders are no worse for it; the steward sends these.
                log.exception("orders_left_to_the_steward", orders=len(orders))
            if last:
                return
            next_at = time.monotonic() + INTERVAL_SECONDS

    def _and_what_waits(self, first: Sequence[Order]) -> tuple[list[Order], bool]:
        """Small batches share an order; True: the end has come."""
        orders = list(first)
        while True:
            try:
                following = self._queue.get_nowait()
            except Empty:
                return orders, False
            if following is None:
                return orders, True
            orders.extend(following)
