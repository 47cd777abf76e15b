"""One suite over every event log."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import pytest
from pydantic import SecretStr

from shared.eventlog.direct import DirectLog
from shared.eventlog.grouping import Limits
from shared.eventlog.kafka import KafkaLog
from shared.eventlog.memory import MemoryEventLog
from shared.eventlog.port import LogBusy, LogUnavailable
from shared.eventlog.topics import ensure_topics
from shared.intake.known import KnownEvents
from shared.intake.record import Receipt
from shared.settings import KafkaSettings, RedisSettings
from shared.taskqueue import app, orders
from tests.intake_data import add_tenant, engine_of, incoming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from shared.eventlog.port import EventLog
    from tests.conftest import Database

DEFAULTS = Limits()
ACCEPTED, DUPLICATE, CONFLICT = Receipt


class Build(Protocol):
    """Builds the log under test."""

    def __call__(self, limits: Limits = DEFAULTS) -> EventLog: ...


@pytest.fixture(params=["memory", "direct", pytest.param("kafka", marks=pytest.mark.kafka)])
def build(request: pytest.FixtureRequest) -> Build:
    built: Build = request.getfixturevalue(f"{request.param}_log")
    return built


@pytest.fixture
def memory_log() -> Build:
    def build(limits: Limits = DEFAULTS) -> EventLog:
        del limits  # it has none
        return MemoryEventLog()

    return build


@pytest.fixture
def direct_log(database: Database, empty_redis_url: str) -> Iterator[Build]:
    add_tenant(database)
    engine = engine_of(database, "recoup_api")
    queue = orders.Orders(app.celery_app(RedisSettings(url=SecretStr(empty_redis_url))))
    yield lambda limits=DEFAULTS: DirectLog(engine, queue, limits)
    engine.dispose()


@pytest.fixture
def kafka_log(database: Database, empty_redis_url: str, kafka_bootstrap: str) -> Iterator[Build]:
    add_tenant(database)
    engine = engine_of(database, "recoup_api")
    settings = KafkaSettings(bootstrap_servers=kafka_bootstrap, events_topic=f"events-{uuid.uuid4().hex[:8]}", partitions=2)
    ensure_topics(settings)
    redis = RedisSettings(url=SecretStr(empty_redis_url))
    yield lambda limits=DEFAULTS: KafkaLog(settings, KnownEvents(engine, redis), limits)
    engine.dispose()


@asynccontextmanager
async def opened(log: EventLog) -> AsyncIterator[EventLog]:
    await log.start()
    try:
        async with asyncio.timeout(30):
            while not log.ready():  # noqa: ASYNC110  # the port has no event for it
                await asyncio.sleep(0.02)
        yield log
    finally:
        await log.close()


def with_log(log: EventLog, story: Callable[[EventLog], Coroutine[None, None, None]]) -> None:
    async def run() -> None:
        async with opened(log) as ready:
            await story(ready)

    asyncio.run(run())


def test_a_log_that_has_not_started_is_not_ready_and_refuses(build: Build) -> None:
    log = build()
    assert not log.ready()

    async def story(ready: EventLog) -> None:
        assert ready.ready()

    with_log(log, story)


def test_new_records_are_accepted_and_known_ones_are_told_apart(build: Build) -> None:
    async def story(log: EventLog) -> None:
        assert await log.append([incoming("1"), incoming("2")]) == [ACCEPTED, ACCEPTED]
        assert await log.append([incoming("2"), incoming("1", text="other"), incoming("3")]) == [DUPLICATE, CONFLICT, ACCEPTED]

    with_log(build(), story)


def test_records_of_one_append_see_each_other(build: Build) -> None:
    same = incoming("1")

    async def story(log: EventLog) -> None:
        assert await log.append([same, same, incoming("1", text="other")]) == [ACCEPTED, DUPLICATE, CONFLICT]

    with_log(build(), story)


def test_an_empty_append_is_answered_with_nothing(build: Build) -> None:
    async def story(log: EventLog) -> None:
        assert await log.append([]) == []

    with_log(build(), story)


def test_concurrent_appends_each_get_the_answers_to_their_own_records(build: Build) -> None:
    async def story(log: EventLog) -> None:
        await log.append([incoming(str(n)) for n in range(0, 200, 2)])
        answers = await asyncio.gather(*(log.append([incoming(str(n))]) for n in range(200)))
        assert answers == [[ACCEPTED if n % 2 else DUPLICATE] for n in range(200)]

    with_log(build(), story)


@pytest.mark.parametrize("name", ["direct", pytest.param("kafka", marks=pytest.mark.kafka)])
def test_more_than_it_may_hold_is_refused_at_once_and_the_rest_succeeds(name: str, request: pytest.FixtureRequest) -> None:
    build: Build = request.getfixturevalue(f"{name}_log")

    async def story(log: EventLog) -> None:
        answers = await asyncio.gather(*(log.append([incoming(str(n))]) for n in range(50)), return_exceptions=True)
        assert [isinstance(answer, LogBusy) for answer in answers] == [False] * 20 + [True] * 30
        assert await log.append([incoming("49")]) == [ACCEPTED]

    with_log(build(Limits(records=20)), story)


def test_a_closed_log_refuses_and_can_be_closed_with_work_behind_it(build: Build) -> None:
    log = build()

    async def story(ready: EventLog) -> None:
        await asyncio.gather(*(ready.append([incoming(str(n))]) for n in range(20)))
        await ready.close()
        with pytest.raises(LogUnavailable):
            await ready.append([incoming("late")])
        await ready.start()

    with_log(log, story)
