"""The exact cache over a real Redis, present, frozen, gone and full; and what a tenant sets for its tiers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
import redis

from services.lab.synth import generate
from services.supervisor.embedded.redis import Redis
from services.worker import redis_store
from services.worker.redis_store import PATIENCE_SECONDS, RedisStore
from services.worker.runtime.build import SHIPPED, Room, build_cascades
from services.worker.tiers import CaseInput
from shared.clock import SystemClock
from tests.intake_data import add_tenant, engine_of, rows
from tests.worker_data import claim_cases, decider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import LiteralString

    from sqlalchemy import Engine

    from tests.conftest import Database


@dataclass
class Ticking(SystemClock):
    """A monotonic clock that a test can move."""

    moved: float = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.moved


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path / "redis")
    server.start()
    yield server
    os.kill(_pid(server), signal.SIGCONT)
    server.stop()


def _pid(server: Redis) -> int:
    with redis.Redis.from_url(server.url) as client:
        return int(client.info("server")["process_id"]) if server.running else os.getpid()


def _store(url: str, clock: SystemClock | None = None, lasts: timedelta = timedelta(minutes=1)) -> RedisStore:
    return RedisStore(redis_store.client(url), clock or SystemClock(), lasts)


def test_what_was_put_is_got_until_its_time_is_over(empty_redis_url: str) -> None:
    # Long enough to be read on a machine that stalls.
    store = _store(empty_redis_url, lasts=timedelta(seconds=2))
    store.put({"a": b"1", "b": b"2"})
    assert store.get(["b", "none", "a"]) == [b"2", None, b"1"]
    time.sleep(2.1)
    assert store.get(["a", "b"]) == [None, None]


def test_a_frozen_redis_costs_a_moment_once_and_then_nothing_until_it_is_asked_again(server: Redis) -> None:
    clock = Ticking()
    store = _store(server.url, clock)
    store.put({"a": b"1"})
    pid = _pid(server)
    os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        assert store.get(["a"]) is None
        assert time.monotonic() - started < 20 * PATIENCE_SECONDS
        started = time.monotonic()
        for _ in range(1000):
            assert store.get(["a"]) is None
            store.put({"a": b"2"})
        assert time.monotonic() - started < 20 * PATIENCE_SECONDS
    finally:
        os.kill(pid, signal.SIGCONT)
    clock.moved += 2
    assert store.get(["a"]) == [b"1"]


def test_a_redis_that_is_gone_or_refuses_to_write_is_no_error(server: Redis) -> None:
    store, clock = _store(server.url), Ticking()
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
    store.put({"a": b"1"})
    assert store.get(["a"]) is None
    server.kill()
    gone = _store(server.url, clock)
    assert gone.get(["a"]) is None
    gone.put({"a": b"1"})
    server.start()
    assert gone.get(["a"]) is None
    clock.moved += 2
    assert gone.get(["a"]) == [None]


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    add_tenant(database, control_shares={"claims": "0"})
    engine = engine_of(database)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def sure() -> Mapping[str, Any]:
    """A claim that the nano model is sure about."""
    cascade = build_cascades()["claims"]
    for event in generate("claims", 300, 5):
        (result,) = cascade.decide([CaseInput(uuid4(), cascade.automation.data_model.model_validate(event.data))])
        if result.verdict is not None and result.tier == "nano":
            return event.data
    pytest.fail("nano is sure about no claim")


def _execute(database: Database, statement: LiteralString) -> None:
    with psycopg.connect(database.admin_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(statement)


def test_a_claim_that_was_decided_before_is_decided_from_the_cache_and_costs_what_that_costs(
    engine: Engine, database: Database, empty_redis_url: str, sure: Mapping[str, Any]
) -> None:
    worker = decider(engine, build_cascades(SHIPPED, room=Room(_store(empty_redis_url), 1000)))
    worker.decide("claims", claim_cases(engine, sure))
    worker.decide("claims", claim_cases(engine, sure, first=2))
    found = rows(
        database,
        "SELECT d.tier, d.outcome, d.confidence, d.model_version, i.detail->>'saved_cpu_ns' IS NOT NULL, l.quantity > 0"
        " FROM decisions d JOIN cases c ON c.id = d.case_id JOIN ledger_lines l ON l.case_id = c.id AND l.kind = 'compute'"
        " JOIN inferences i ON i.case_id = c.id AND i.tier = d.tier ORDER BY c.event_id",
    )
    (first, second) = found
    assert (first[0], second[0]) == ("nano", "cache")
    assert first[1:4] == second[1:4]
    assert (first[4:], second[4:]) == ((False, True), (True, True))


def test_a_worker_without_redis_decides_as_ever(engine: Engine, database: Database, server: Redis, sure: Mapping[str, Any]) -> None:
    worker = decider(engine, build_cascades(SHIPPED, room=Room(_store(server.url), 1000)))
    server.kill()
    worker.decide("claims", claim_cases(engine, sure, sure))
    assert rows(database, "SELECT tier, count(*) FROM decisions GROUP BY 1") == [("nano", 2)]


def test_the_error_level_that_a_tenant_sets_decides_which_thresholds_hold(
    engine: Engine, database: Database, sure: Mapping[str, Any]
) -> None:
    worker = decider(engine, build_cascades())
    for number, level in enumerate(("NULL", "0.0001", "0.02"), 1):
        _execute(database, f"UPDATE automation_settings SET error_level = {level} WHERE tenant_id = 'acme' AND automation = 'claims'")
        worker.decide("claims", claim_cases(engine, sure, first=number))
    assert rows(database, "SELECT c.event_id, d.tier FROM cases c LEFT JOIN decisions d ON d.case_id = c.id ORDER BY 1") == [
        ("1", "nano"),
        ("2", None),
        ("3", "nano"),
    ]
