"""Orders are hints: they arrive where Redis is, and cost next to nothing where it is not."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import redis
from pydantic import SecretStr

from services.supervisor.embedded.redis import Redis
from shared.intake.announcer import Announcer
from shared.settings import RedisSettings
from shared.taskqueue.app import DECIDE, QUEUE, celery_app
from shared.taskqueue.orders import Order, Orders
from tests.patience import HANG_SECONDS, eventually
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def _orders(url: str, batch: int = 250) -> Orders:
    return Orders(celery_app(RedisSettings(url=SecretStr(url))), batch)


def test_orders_are_sent_in_batches_of_one_automation(empty_redis_url: str) -> None:
    orders = _orders(empty_redis_url, batch=4)
    wanted = [Order("claims" if n % 3 else "invoices", uuid4()) for n in range(12)]
    assert orders.send(wanted) == 12
    assert orders.depth() == 3
    with redis.Redis.from_url(empty_redis_url) as client:
        messages = [json.loads(raw) for raw in client.lrange(QUEUE, 0, -1)]
    assert {message["headers"]["task"] for message in messages} == {DECIDE}
    assert all(message["headers"]["traceparent"] for message in messages)


def test_cases_that_follow_each_other_closely_share_an_order(empty_redis_url: str) -> None:
    orders = _orders(empty_redis_url)
    announcer = Announcer(orders)
    announcer.announce([Order("claims", uuid4())])
    deadline = time.monotonic() + HANG_SECONDS
    while not orders.depth() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert orders.depth() == 1, "the first goes at once"
    for _ in range(30):
        announcer.announce([Order("claims", uuid4())])
    announcer.close()
    with redis.Redis.from_url(empty_redis_url) as client:
        sizes = sorted(len(json.loads(base64.b64decode(json.loads(raw)["body"]))[0][1]) for raw in client.lrange(QUEUE, 0, -1))
    assert sum(sizes) == 31
    assert len(sizes) <= 4, "one, and as many more as there were pauses while the test announced"


class _FailsOnce(Orders):
    """As if something in it were broken."""

    failed = False

    def send(self, orders: Iterable[Order]) -> int:
        if not self.failed:
            self.failed = True
            raise LookupError("nobody thought of this")
        return super().send(orders)


def test_what_nobody_thought_of_does_not_end_the_sending(empty_redis_url: str) -> None:
    orders = _FailsOnce(celery_app(RedisSettings(url=SecretStr(empty_redis_url))))
    announcer = Announcer(orders)
    announcer.announce([Order("claims", uuid4())])
    eventually(lambda: orders.failed)
    announcer.announce([Order("claims", uuid4())])
    eventually(lambda: orders.depth() == 1)
    announcer.close()


def test_nothing_to_send_asks_nobody() -> None:
    assert _orders(f"redis://127.0.0.1:{free_port()}/0").send([]) == 0


def test_where_redis_is_away_nothing_is_sent_and_nobody_waits() -> None:
    orders = _orders(f"redis://127.0.0.1:{free_port()}/0")
    for _ in range(2):
        started = time.monotonic()
        assert orders.send([Order("claims", uuid4())]) == 0
        assert orders.depth() is None
        assert time.monotonic() - started < 3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Redis]:
    """One of its own, to be stopped."""
    found = Redis(tmp_path / "data")
    found.start()
    yield found
    found.stop()


def test_orders_flow_again_after_redis_was_away(server: Redis) -> None:
    orders = _orders(server.url)
    assert orders.send([Order("claims", uuid4())]) == 1
    server.kill()
    assert orders.send([Order("claims", uuid4())]) == 0
    server.start()
    assert orders.send([Order("claims", uuid4())]) == 1
    assert orders.depth()


def test_a_frozen_redis_holds_nobody_up_for_long(server: Redis) -> None:
    orders = _orders(server.url)
    assert orders.send([Order("claims", uuid4())]) == 1
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        assert orders.send([Order("claims", uuid4())]) == 0
        assert orders.depth() is None
        assert time.monotonic() - started < 20
    finally:
        os.kill(pid, signal.SIGCONT)
    assert orders.send([Order("claims", uuid4())]) == 1
