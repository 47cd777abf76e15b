"""What can break in a running line, one fault each."""

from __future__ import annotations

from collections.abc import Callable

import redis

from tests.harness.line import ReadyLine

PROCESSES = ("gateway", "dispatcher", "worker", "courier", "steward", "ops", "roi")


def flush_redis(line: ReadyLine) -> None:
    with redis.Redis.from_url(line.facts["environment"]["RECOUP_REDIS_URL"]) as client:
        client.flushall()


def _killed(name: str) -> Callable[[ReadyLine], None]:
    return lambda line: line.kill(name)


FAULTS: dict[str, Callable[[ReadyLine], None]] = {
    **{f"kill {name}": _killed(name) for name in PROCESSES},
    "kill worker child": lambda line: line.kill_worker_child(),
    "flush Redis": flush_redis,
    "kill Redis": _killed("redis"),
    "kill Kafka": _killed("kafka"),
    "restart PostgreSQL immediately": lambda line: line.quit_postgres(),
}
