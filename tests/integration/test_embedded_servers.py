"""The embedded servers are real: they keep what was written through a stop and through kill -9, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg
import pytest
import redis
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from services.supervisor.embedded.kafka import Kafka
from services.supervisor.embedded.postgres import Postgres
from services.supervisor.embedded.redis import Redis
from services.supervisor.errors import AlreadyRunning, MissingTool
from tests.servers import KAFKA_CACHE, ROOT, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.supervisor.embedded.server import EmbeddedServer


@pytest.fixture
def postgres(data: Path) -> Iterator[Postgres]:
    server = Postgres(data)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_server(data: Path) -> Iterator[Redis]:
    server = Redis(data)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def _connect(server: Postgres) -> psycopg.Connection:
    return psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True)


def _restart(server: EmbeddedServer, how: str) -> None:
    {"stop": server.stop, "kill": server.kill}[how]()
    assert not server.running
    server.start()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_postgres_keeps_committed_rows_when_it_ends_by(how: str, postgres: Postgres) -> None:
    with _connect(postgres) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (7)")
    _restart(postgres, how)
    with _connect(postgres) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(7,)]


def test_postgres_comes_back_from_an_immediate_restart_with_open_connections(postgres: Postgres) -> None:
    before = postgres.pid
    with _connect(postgres) as idle:
        postgres.restart_immediate()
        assert postgres.pid != before
        with pytest.raises(psycopg.OperationalError):
            idle.execute("SELECT 1")
    with _connect(postgres) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_postgres_is_durable_and_asks_for_a_password(postgres: Postgres) -> None:
    with _connect(postgres) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connection.execute(f"SHOW {setting}".encode()).fetchone() == ("on",)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host="127.0.0.1", port=postgres.port, user="postgres", dbname="postgres", password="wrong")
    secret = postgres.data / "secrets" / "postgres_password"
    assert secret.stat().st_mode & 0o777 == 0o600


def test_a_record_of_a_living_but_foreign_process_does_not_keep_postgres_from_starting(postgres: Postgres) -> None:
    """As after a reboot, when another program got the pid of the old server."""
    record = postgres.cluster / "postmaster.pid"
    lines = record.read_text().splitlines()
    postgres.stop()
    with psutil.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        record.write_text("\n".join([str(stranger.pid), *lines[1:]]))
        postgres.start()
        assert postgres.running
        stranger.communicate(b"\n")


def test_two_postgres_servers_never_share_a_data_directory(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.supervisor.embedded.postgres.PREDECESSOR_SECONDS", 0.2)
    with pytest.raises(AlreadyRunning):
        Postgres(postgres.data).start()
    assert postgres.running


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_redis_keeps_what_it_appended_when_it_ends_by(how: str, redis_server: Redis) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        client.set("kept", "7")
        time.sleep(1.5)  # appendfsync everysec; without it the kernel would still have the write, but not by promise
    _restart(redis_server, how)
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.get("kept") == b"7"


@pytest.mark.parametrize("kind", [Postgres, Redis])
def test_a_folder_may_have_any_name(tmp_path: Path, kind: type[Postgres | Redis]) -> None:
    server = kind(tmp_path / 'Jané\'s "own" data')
    server.start()
    server.stop()
    assert list((server.data / "redis").glob("appendonly.aof")) or kind is Postgres


def test_redis_asks_for_a_password_and_never_evicts(redis_server: Redis) -> None:
    with redis.Redis(port=redis_server.port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


@pytest.mark.kafka
@pytest.mark.slow
def test_kafka_keeps_acknowledged_records_through_a_stop_and_a_kill(data: Path) -> None:
    server = Kafka(data, cache=KAFKA_CACHE)
    try:
        _start_or_skip(server)
        admin = KafkaAdminClient(bootstrap_servers=server.url)
        admin.create_topics([NewTopic("kept", num_partitions=1, replication_factor=1)])
        admin.close()
        for number, how in enumerate(("stop", "kill")):
            _send(server, str(number).encode())
            _restart(server, how)
        assert _records(server, 2) == [b"0", b"1"]
    finally:
        server.stop()


def _start_or_skip(server: Kafka) -> None:
    try:
        server.start()
    except MissingTool as error:
        pytest.skip(f"NO KAFKA, NOT TESTED: {error.message}")


def _send(server: Kafka, value: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=server.url, acks="all", enable_idempotence=False)
    producer.send("kept", value).get(timeout=30)
    producer.close()


def _records(server: Kafka, count: int) -> list[bytes]:
    consumer = KafkaConsumer("kept", bootstrap_servers=server.url, auto_offset_reset="earliest", consumer_timeout_ms=20_000)
    found = [record.value for record in islice(consumer, count)]
    consumer.close()
    return found


def test_no_server_outlives_a_parent_that_is_killed(data: Path) -> None:
    program = textwrap.dedent(f"""\
        import time
        from pathlib import Path
        from services.supervisor.embedded.postgres import Postgres
        from services.supervisor.embedded.redis import Redis
        servers = [cls(Path({str(data)!r})) for cls in (Postgres, Redis)]
        for server in servers:
            server.start()
        print(*(server.pid for server in servers), flush=True)
        time.sleep(600)
        """)
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    assert len(pids) == 2
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=15)
    assert not alive


def test_a_free_port_can_be_listened_on(data: Path) -> None:
    server = Redis(data, free_port())
    server.start()
    server.stop()
