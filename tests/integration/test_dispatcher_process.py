"""The real dispatcher on a real broker: what is in Kafka comes into the inbox, whatever happens to the process."""

from __future__ import annotations

import json
import os
from itertools import islice
from typing import TYPE_CHECKING

import psycopg
import pytest
import redis
from kafka import KafkaConsumer
from kafka.admin import KafkaAdminClient
from psycopg import sql

from services.dispatcher.main import app
from shared.taskqueue.app import QUEUE
from tests.checked_settings import checked
from tests.dispatcher_world import (
    ACME,
    assert_every_offset_is_covered,
    cases,
    claim,
    count,
    dispatcher,
    kafka_settings,
    produce,
)
from tests.intake_data import add_tenant, rows
from tests.patience import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Database

pytestmark = pytest.mark.kafka


def test_events_of_an_external_producer_become_cases_and_orders(
    database: Database, empty_redis_url: str, kafka_bootstrap: str, tmp_path: Path
) -> None:
    add_tenant(database)
    settings = kafka_settings(kafka_bootstrap)
    trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with dispatcher(database, empty_redis_url, settings, tmp_path) as process:
        for partition in range(3):
            produce(settings, [claim(f"{partition}-{n}") for n in range(20)], [*ACME, ("traceparent", trace)], partition)
        eventually(lambda: cases(database) == 60)
        eventually(lambda: process.ready)
        assert process.terminate() == 0
    assert rows(database, "SELECT DISTINCT automation, state, traceparent FROM cases") == [("claims", "pending", trace.decode())]
    with redis.Redis.from_url(empty_redis_url) as client:
        assert client.llen(QUEUE) >= 1
    assert_every_offset_is_covered(database, settings)


def test_poison_is_buried_and_copied_and_its_neighbours_are_not_affected(
    database: Database, empty_redis_url: str, kafka_bootstrap: str, tmp_path: Path
) -> None:
    add_tenant(database)
    settings = kafka_settings(kafka_bootstrap)
    junk = [
        os.urandom(300),
        b"",
        None,
        b"[" * (1024 * 1024 - 500),
        b'{"id": "\xc3\x28"}',
        claim("nul", subject="a\0b"),
        json.dumps({**json.loads(claim("wrong")), "data": {"policy_number": 7}}).encode(),
        json.dumps({**json.loads(claim("type")), "type": "com.example.unknown"}).encode(),
    ]
    values = [value for n, poison in enumerate(junk) for value in (claim(f"before-{n}"), poison, claim(f"after-{n}"))]
    with dispatcher(database, empty_redis_url, settings, tmp_path):
        produce(settings, values, partition=0)
        eventually(lambda: cases(database) == 2 * len(junk))
        eventually(lambda: count(database, "poison_records") == len(junk))
        assert _dead_letters(settings.bootstrap_servers, settings.dead_topic, len(junk)) == sorted(value or b"" for value in junk)
    kept = rows(database, 'SELECT raw FROM poison_records ORDER BY "offset"')
    assert [raw for (raw,) in kept] == [value or b"" for value in junk]
    assert_every_offset_is_covered(database, settings)


@pytest.mark.slow
def test_a_dispatcher_killed_again_and_again_loses_nothing_and_stores_nothing_twice(
    database: Database, empty_redis_url: str, kafka_bootstrap: str, tmp_path: Path
) -> None:
    add_tenant(database)
    settings = kafka_settings(kafka_bootstrap)
    produce(settings, [claim(str(n)) for n in range(4000)], partition=0)
    for kill in range(4):
        before = cases(database)
        with dispatcher(database, empty_redis_url, settings, tmp_path, RECOUP_DISPATCHER_BATCH="40") as process:
            eventually(lambda floor=before + 150: cases(database) >= floor)  # type: ignore[misc]  # mypy has no name for it
            process.kill()
        assert kill > 2 or cases(database) < 4000
    with dispatcher(database, empty_redis_url, settings, tmp_path) as process:
        eventually(lambda: cases(database) == 4000)
        eventually(lambda: process.ready)
        process.terminate()
    assert_every_offset_is_covered(database, settings)
    assert rows(database, "SELECT sum(received) - sum(duplicate) - sum(rejected) FROM intake_batches") == [(4000,)]


def test_another_dispatcher_takes_over_from_a_killed_one(
    database: Database, empty_redis_url: str, kafka_bootstrap: str, tmp_path: Path
) -> None:
    add_tenant(database)
    settings = kafka_settings(kafka_bootstrap)
    with dispatcher(database, empty_redis_url, settings, tmp_path) as one, dispatcher(database, empty_redis_url, settings, tmp_path) as two:
        eventually(lambda: one.ready and two.ready)
        for partition in range(3):
            produce(settings, [claim(f"first-{partition}")], partition=partition)
        eventually(lambda: cases(database) == 3)
        one.kill()
        for partition in range(3):
            produce(settings, [claim(f"second-{partition}")], partition=partition)
        # Ten seconds until the broker misses the dead one, then a rebalance; how long that takes on a busy machine is not what is tested.
        eventually(lambda: cases(database) == 6)
    assert_every_offset_is_covered(database, settings)


def test_a_partition_that_goes_to_another_dispatcher_has_one_lag_and_not_two(
    database: Database, empty_redis_url: str, kafka_bootstrap: str, tmp_path: Path
) -> None:
    add_tenant(database)
    settings = kafka_settings(kafka_bootstrap)
    with dispatcher(database, empty_redis_url, settings, tmp_path) as one:
        eventually(lambda: one.lags == ["0", "1", "2"])
        with dispatcher(database, empty_redis_url, settings, tmp_path) as two:
            eventually(lambda: two.lags and sorted([*one.lags, *two.lags]) == ["0", "1", "2"])


def test_a_database_that_is_away_delays_the_batch_and_nothing_else(
    database: Database, postgres_admin_url: str, empty_redis_url: str, kafka_bootstrap: str, tmp_path: Path
) -> None:
    add_tenant(database)
    settings = kafka_settings(kafka_bootstrap)
    with dispatcher(database, empty_redis_url, settings, tmp_path, RECOUP_DISPATCHER_STALL_AFTER="PT3S") as process:
        produce(settings, [claim("before")])
        eventually(lambda: cases(database) == 1)
        _let_in(postgres_admin_url, database, connections=False)
        produce(settings, [claim(f"during-{n}") for n in range(200)])
        eventually(lambda: process.readiness.get("database") is False)
        eventually(lambda: b"batch_waits_for_database" in process.log.read_bytes())
        # Longer than the dispatcher's patience with a partition that does not move.
        eventually(lambda: process.log.read_bytes().count(b"batch_waits_for_database") >= 5)
        _let_in(postgres_admin_url, database, connections=True)
        eventually(lambda: cases(database) == 201)
        eventually(lambda: process.ready)
        assert process.process.poll() is None
    assert_every_offset_is_covered(database, settings)


def test_partitions_that_are_added_later_are_read_soon(
    database: Database, empty_redis_url: str, kafka_bootstrap: str, tmp_path: Path
) -> None:
    add_tenant(database)
    settings = kafka_settings(kafka_bootstrap, partitions=1)
    with dispatcher(database, empty_redis_url, settings, tmp_path):
        produce(settings, [claim("before")])
        eventually(lambda: cases(database) == 1)
        admin = KafkaAdminClient(bootstrap_servers=kafka_bootstrap)
        admin.create_partitions({settings.events_topic: 2})
        admin.close()
        produce(settings, [claim("after")], partition=1)
        eventually(lambda: cases(database) == 2)


def test_settings_without_kafka_are_refused_with_a_reason(database: Database, redis_url: str) -> None:
    done = checked(app, {"RECOUP_DATABASE_URL": database.app_url, "RECOUP_REDIS_URL": redis_url})
    assert done.exit_code == 2
    assert "nothing to do without Kafka" in done.stderr


def _let_in(admin_url: str, database: Database, *, connections: bool) -> None:
    """Cut every connection to the database and refuse new ones, or let them in again."""
    with psycopg.connect(admin_url.replace("+psycopg", ""), autocommit=True) as admin:
        allow = sql.SQL("true" if connections else "false")
        admin.execute(sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}").format(sql.Identifier(database.name), allow))
        if not connections:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database.name,))


def _dead_letters(bootstrap: str, topic: str, number: int) -> list[bytes]:
    consumer = KafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=15_000)
    try:
        return sorted(record.value for record in islice(consumer, number))
    finally:
        consumer.close()
