"""What tests of the dispatcher share: claims as bytes, a topic of their own, and the real process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from kafka import KafkaAdminClient, KafkaProducer

from shared.eventlog.topics import ensure_topics
from shared.settings import KafkaSettings
from tests import local_http
from tests.gateway_app import CLAIM, CLAIM_TYPE
from tests.intake_data import rows
from tests.patience import HANG_SECONDS
from tests.servers import ROOT, free_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.conftest import Database

Headers = list[tuple[str, bytes]]
ACME: Headers = [("tenant", b"acme")]


def claim(event_id: str, **attributes: object) -> bytes:
    """A valid event as an external producer writes it: not canonical."""
    return json.dumps(
        {"specversion": "1.0", "id": event_id, "source": "/erp", "type": CLAIM_TYPE, "data": CLAIM, **attributes}, indent=1
    ).encode()


def kafka_settings(bootstrap: str, partitions: int = 3) -> KafkaSettings:
    """Topics and group that no other test uses; the topics exist."""
    tag = uuid.uuid4().hex[:8]
    settings = KafkaSettings(
        bootstrap_servers=bootstrap,
        events_topic=f"events-{tag}",
        decisions_topic=f"decisions-{tag}",
        dead_topic=f"dead-{tag}",
        consumer_group=f"group-{tag}",
        partitions=partitions,
    )
    ensure_topics(settings)
    return settings


def produce(settings: KafkaSettings, values: Iterable[bytes | None], headers: Headers = ACME, partition: int | None = None) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers, enable_idempotence=False)
    try:
        futures = [producer.send(settings.events_topic, value=value, key=b"k", headers=headers, partition=partition) for value in values]
        for future in futures:
            future.get(timeout=10)
    finally:
        producer.close()


@dataclass(slots=True)
class Dispatcher:
    """A running process."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def readiness(self) -> dict[str, bool]:
        """Empty while it does not answer."""
        try:
            answer: dict[str, bool] = local_http.get(f"http://127.0.0.1:{self.port}/readyz").json()
        except httpx.TransportError:
            return {}
        return answer

    @property
    def ready(self) -> bool:
        return bool(self.readiness) and all(self.readiness.values())

    @property
    def lags(self) -> list[str]:
        """Partitions whose lag it shows; none while it does not answer."""
        try:
            text = local_http.get(f"http://127.0.0.1:{self.port}/metrics").text
        except httpx.TransportError:
            return []
        return sorted(re.findall(r'^recoup_consumer_lag\{partition="(\d+)"\}', text, re.MULTILINE))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(HANG_SECONDS)


@contextmanager
def dispatcher(database: Database, redis_url: str, settings: KafkaSettings, folder: Path, **extra: str) -> Iterator[Dispatcher]:
    """Started, not necessarily ready. Its log is in ``folder``; it is killed at the end where it still runs."""
    port = free_port()
    log = folder / f"dispatcher-{port}.log"
    environment = os.environ | {  # noqa: TID251  # a child process gets ours
        "RECOUP_DATABASE_URL": database.app_url,
        "RECOUP_REDIS_URL": redis_url,
        "RECOUP_KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "RECOUP_KAFKA_EVENTS_TOPIC": settings.events_topic,
        "RECOUP_KAFKA_DEAD_TOPIC": settings.dead_topic,
        "RECOUP_KAFKA_CONSUMER_GROUP": settings.consumer_group,
        "RECOUP_DISPATCHER_PORT": str(port),
        **extra,
    }
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "services.dispatcher.main"], cwd=ROOT, env=environment, stderr=file)
    running = Dispatcher(process, port, log)
    try:
        yield running
    except BaseException:
        print(log.read_text())  # noqa: T201  # shown with the failure
        raise
    finally:
        running.kill()


def cases(database: Database) -> int:
    return count(database, "cases")


def count(database: Database, table: str) -> int:
    (number,) = rows(database, f"SELECT count(*) FROM {table}")[0]
    assert isinstance(number, int)
    return number


def assert_every_offset_is_covered(database: Database, settings: KafkaSettings) -> None:
    """The consumed ranges of each partition reach from 0 to the committed offset without a hole, and it is not beyond them."""
    ranges: dict[int, list[tuple[int, int]]] = {}
    found = rows(
        database,
        "SELECT partition, first_offset, last_offset, new + duplicate + poison FROM consumed_ranges WHERE topic = %s ORDER BY 2",
        (settings.events_topic,),
    )
    for partition, first, last, counted in found:
        assert isinstance(partition, int)
        assert isinstance(first, int)
        assert isinstance(last, int)
        assert counted == last - first + 1
        ranges.setdefault(partition, []).append((first, last))
    committed = _committed(settings)
    for partition, covered in ranges.items():
        reach = 0
        for first, last in covered:
            assert first <= reach, f"hole before {first} in partition {partition}"
            reach = max(reach, last + 1)
        assert committed.get(partition, 0) <= reach


def _committed(settings: KafkaSettings) -> dict[int, int]:
    admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    try:
        offsets: dict[Any, Any] = admin.list_group_offsets([settings.consumer_group])[settings.consumer_group]
    finally:
        admin.close()
    return {partition.partition: offset.offset for partition, offset in offsets.items()}
