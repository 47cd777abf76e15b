"""The broker is killed and comes back, under load: what was acknowledged is in the inbox, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
import warnings
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from services.supervisor.embedded.kafka import Kafka
from services.supervisor.errors import MissingTool
from shared.errors import Retryable
from shared.eventlog.kafka import KafkaLog
from shared.eventlog.topics import ensure_topics
from shared.events.admission import admit
from shared.events.parse import structured
from shared.intake.record import Incoming
from shared.settings import KafkaSettings
from tests.dispatcher_world import assert_every_offset_is_covered, cases, claim, dispatcher
from tests.intake_data import NOON, add_tenant, incoming, rows
from tests.patience import eventually
from tests.servers import KAFKA_CACHE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Database

# The client leaves sockets of refused connections to the garbage collector.
pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.filterwarnings("ignore:unclosed .socket:ResourceWarning")]


@pytest.fixture
def broker(tmp_path: Path, kafka_bootstrap: str, caplog: pytest.LogCaptureFixture) -> Iterator[Kafka]:
    """One of this test's own, not started; the shared one is asked for so that a missing Java is reported in one way."""
    try:
        broker = Kafka(tmp_path / "broker", cache=KAFKA_CACHE)
    except MissingTool as error:
        pytest.fail(error.message)
    # Captured log records would keep the exceptions, and with them the sockets, of every refused connection.
    caplog.set_level(logging.CRITICAL, logger="kafka")
    yield broker
    broker.kill()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def claim_record(event_id: str) -> Incoming:
    event = structured(claim(event_id))
    automation, _ = admit(event)
    draft = incoming(event_id)
    body = event.canonical()
    return Incoming(draft.tenant, event.source, event.id, event.type, automation.name, NOON, NOON, body, draft.body_sha256)


class Load:
    """Clients that append one record after the other from a loop in a thread of its own, and what they were told.

    The broker is started from the test's thread: it ends with the thread that has started it.
    """

    def __init__(self, log: KafkaLog) -> None:
        self._log = log
        self._going = True
        self.acknowledged: list[str] = []
        self.last_acknowledged = 0.0
        self.slowest = 0.0

    def run(self) -> None:
        asyncio.run(self._run())

    def stop(self) -> None:
        self._going = False

    async def _run(self) -> None:
        await self._log.start()
        await asyncio.gather(*(self._client(name) for name in range(20)))
        await self._log.close()

    async def _client(self, name: int) -> None:
        number = 0
        while self._going:
            number += 1
            await self._append(f"{name}-{number}")

    async def _append(self, event_id: str) -> None:
        begun = time.monotonic()
        try:
            await self._log.append([claim_record(event_id)])
        except Retryable:
            await asyncio.sleep(0.05)
        else:
            self.acknowledged.append(event_id)
            self.last_acknowledged = time.monotonic()
        self.slowest = max(self.slowest, time.monotonic() - begun)


def _suffer(broker: Kafka, log: KafkaLog, load: Load, seconds: float) -> None:
    before = len(load.acknowledged)
    eventually(lambda: len(load.acknowledged) > before + 100)
    broker.kill()
    eventually(lambda: not log.ready(), 5)
    time.sleep(seconds)
    broker.start()
    back = time.monotonic()
    eventually(lambda: load.last_acknowledged > back, 5)
    eventually(log.ready, 5)


def test_appends_succeed_again_within_seconds_and_none_is_left_without_an_answer(
    broker: Kafka, database: Database, empty_redis_url: str, tmp_path: Path
) -> None:
    add_tenant(database)
    settings = KafkaSettings(bootstrap_servers=broker.url, partitions=3)
    with dispatcher(database, empty_redis_url, settings, tmp_path, RECOUP_DISPATCHER_STALL_AFTER="PT20S") as process:
        # The dispatcher starts before its broker does.
        eventually(lambda: process.readiness.get("kafka") is False)
        broker.start()
        ensure_topics(settings)
        log = KafkaLog(settings)
        load = Load(log)
        thread = Thread(target=load.run)
        thread.start()
        try:
            # The second outage is longer than a delivery may take.
            for seconds in (0.5, 12):
                _suffer(broker, log, load, seconds)
        finally:
            load.stop()
            thread.join(20)
        assert not thread.is_alive()
        assert load.slowest < 12
        acknowledged = set(load.acknowledged)
        eventually(lambda: process.process.poll() is not None or _events(database) >= acknowledged)
        assert process.process.poll() is None, process.log.read_text()[-3000:]
        eventually(lambda: process.ready)
        assert process.terminate() == 0
    assert cases(database) >= len(acknowledged)
    assert_every_offset_is_covered(database, settings)


def _events(database: Database) -> set[object]:
    return {row[0] for row in rows(database, "SELECT event_id FROM cases")}


def test_while_the_broker_is_away_most_appends_are_refused_at_once(broker: Kafka) -> None:
    settings = KafkaSettings(bootstrap_servers=broker.url, partitions=2)
    broker.start()
    ensure_topics(settings)

    async def story() -> None:
        log = KafkaLog(settings)
        await log.start()
        async with asyncio.timeout(30):
            while not log.ready():  # noqa: ASYNC110  # nothing signals it
                await asyncio.sleep(0.05)
        await log.append([incoming("before")])
        broker.kill()
        first = asyncio.create_task(log.append([incoming("first")]))
        await asyncio.sleep(3)
        answers = await asyncio.gather(*(log.append([incoming(str(n))]) for n in range(500)), return_exceptions=True)
        # At once: the first, which was sent before anybody knew, still waits for the broker.
        assert not first.done()
        assert all(isinstance(answer, Retryable) for answer in answers)
        with pytest.raises(Retryable):
            await first
        await log.close()

    asyncio.run(story())
