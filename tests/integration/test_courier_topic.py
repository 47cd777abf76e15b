"""The decisions topic on a real broker."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from kafka import KafkaConsumer

from services.courier.publisher import Publisher
from services.courier.topic import DecisionsTopic, TopicUnavailable
from services.courier.values import Unpublished
from shared.clock import SystemClock
from shared.eventlog.topics import ensure_topics
from shared.settings import KafkaSettings
from tests.courier_sink import Sink
from tests.courier_world import World
from tests.patience import HANG_SECONDS, eventually
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tests.conftest import Database

pytestmark = [
    pytest.mark.kafka,
    # kafka-python 3.0.12 leaves the socket of a refused connection to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def sockets_are_collected_here() -> Iterator[None]:
    """Not in the next test, which would fail for it."""
    yield
    gc.collect()


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    made = World(database)
    yield made
    made.engine.dispose()


@pytest.fixture
def settings(kafka_bootstrap: str) -> KafkaSettings:
    name = uuid4().hex[:8]
    made = KafkaSettings(
        bootstrap_servers=kafka_bootstrap, events_topic=f"events-{name}", decisions_topic=f"decisions-{name}", dead_topic=f"dead-{name}"
    )
    ensure_topics(made)
    return made


def publisher(world: World, settings: KafkaSettings) -> Publisher:
    return Publisher(world.engine, DecisionsTopic(settings, SystemClock()))


def records(settings: KafkaSettings, count: int) -> list[Any]:
    consumer = KafkaConsumer(
        settings.decisions_topic, bootstrap_servers=settings.bootstrap_servers, auto_offset_reset="earliest", consumer_timeout_ms=1000
    )
    try:
        found: list[Any] = []
        deadline = time.monotonic() + HANG_SECONDS
        while len(found) < count and time.monotonic() < deadline:
            found += list(consumer)
        return found
    finally:
        consumer.close()


def test_every_decision_is_published_once_with_its_case_as_key(world: World, settings: KafkaSettings) -> None:
    bodies = world.decide(1200)
    with world.courier(publisher=publisher(world, settings)):
        eventually(lambda: not world.execute("SELECT FROM outbox WHERE published_at IS NULL OR planned_at IS NULL"))
    found = records(settings, 1200)
    assert sorted(record.value for record in found) == sorted(bodies)
    cases = dict(world.execute("SELECT body, case_id::text FROM outbox"))
    assert all(cases[record.value] == record.key.decode() for record in found)
    headers = dict(found[0].headers)
    assert headers["content-type"] == b"application/cloudevents+json; charset=UTF-8"
    assert headers["traceparent"].startswith(b"00-")


def test_of_two_couriers_one_publishes_and_the_other_takes_over(world: World, settings: KafkaSettings) -> None:
    first, second = publisher(world, settings), publisher(world, settings)
    world.decide(3)
    assert (first.step(), second.step()) == (3, 0)
    world.decide(2)
    assert second.step() == 0
    first.close()
    # The server gives the lock back when it has noticed that the connection is gone.
    eventually(lambda: second.step() == 2)
    second.close()
    assert len(records(settings, 5)) == 5


def test_a_decision_that_is_committed_late_is_not_skipped(world: World, settings: KafkaSettings) -> None:
    """Sequences and clocks of a slow transaction are older than what was published before it."""
    one = publisher(world, settings)
    with world.engine.connect() as slow, slow.begin():
        slow.exec_driver_sql(
            "INSERT INTO outbox (id, tenant_id, case_id, automation, kind, body, created_at)"
            " VALUES (%(id)s, %(tenant)s, %(id)s, 'claims', 'decision.made', 'late', now() - interval '1 hour')",
            {"id": uuid4(), "tenant": world.tenant},
        )
        world.decide(2)
        assert one.step() == 2
    assert one.step() == 1
    one.close()


def test_a_broker_that_is_away_leaves_everything_unpublished_and_callbacks_go_on(world: World) -> None:
    nowhere = KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_port()}")
    with Sink() as sink:
        world.endpoint(sink.url())
        world.decide(5)
        with world.courier(publisher=publisher(world, nowhere)) as courier:
            eventually(lambda: world.states() == {"delivered": 5})
            eventually(lambda: courier.readiness().get("publish") is False)
    assert world.execute("SELECT count(*)::int FROM outbox WHERE published_at IS NULL") == [(5,)]


def test_no_acknowledgement_is_an_error_and_the_next_try_starts_afresh(settings: KafkaSettings) -> None:
    unknown = settings.model_copy(update={"decisions_topic": f"missing-{uuid4().hex[:8]}"})
    topic = DecisionsTopic(unknown, SystemClock())
    decision = Unpublished(uuid4(), uuid4(), b"{}", None)
    for _ in range(2):
        with pytest.raises(TopicUnavailable):
            topic.send([decision])
    topic.close()
