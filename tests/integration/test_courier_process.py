"""Real courier processes: killed at the worst moment, two at once, told to end, and how fast one is."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING

import psutil
import pytest
from sqlalchemy import create_engine

from services.courier.main import app
from shared.db import unit_of_work
from tests.checked_settings import checked
from tests.courier_sink import Answer, Sink
from tests.courier_world import World, end
from tests.patience import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Database


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    made = World(database)
    yield made
    made.engine.dispose()


def test_kill_9_after_the_post_and_before_the_mark_delivers_again_with_the_same_id_and_bytes(world: World, tmp_path: Path) -> None:
    with Sink() as sink:
        world.endpoint(sink.url())
        # The mark waits for this row lock, so the receiver has answered 2xx and the database does not know it.
        sink.behave = lambda _request, _count: Answer(200, delay=0.5)
        (body,) = world.decide()
        first = world.start_process(tmp_path / "log", timeout="PT1S", lease="PT3S")
        sink.await_count(1)
        with unit_of_work(world.engine) as connection:
            connection.exec_driver_sql("SELECT FROM deliveries FOR UPDATE")
            time.sleep(1.2)
            end(first, signal.SIGKILL)
        assert world.states() == {"sending": 1}
        second = world.start_process(tmp_path / "log", timeout="PT1S", lease="PT3S")
        eventually(lambda: world.states() == {"delivered": 1})
        end(second)
    once, again = sink.received
    assert (once.message_id, hashlib.sha256(once.body).digest()) == (again.message_id, hashlib.sha256(again.body).digest())
    assert once.body == body
    assert world.deliveries()[0].attempt == 2


def test_two_couriers_send_each_delivery_once(world: World, tmp_path: Path) -> None:
    with Sink() as sink:
        for number in range(5):
            world.endpoint(sink.url(f"/{number}"))
        couriers = [world.start_process(tmp_path / f"log-{number}") for number in range(2)]
        try:
            for _ in range(10):
                world.decide(40)
                time.sleep(0.2)
            eventually(lambda: world.states() == {"delivered": 2000})
        finally:
            statuses = [end(courier) for courier in couriers]
        times_sent = Counter(request.message_id for request in sink.received)
    assert set(times_sent.values()) == {1}
    assert len(times_sent) == 2000
    assert statuses == [0, 0]


def test_sigterm_lets_attempts_end_and_gives_the_rest_back(world: World, tmp_path: Path) -> None:
    with Sink(lambda _request, _count: Answer(delay=0.5)) as sink:
        world.endpoint(sink.url())
        world.decide(50)
        courier = world.start_process(tmp_path / "log")
        sink.await_count(2)
        assert end(courier) == 0
        sent = len(sink.received)
    states = world.states()
    assert states == {"delivered": sent, "pending": 50 - sent}
    assert {row.attempt for row in world.deliveries() if row.state == "pending"} == {0}


def cut_connections(database: Database) -> None:
    engine = create_engine(database.admin_url)
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'recoup-courier'"
        )
    engine.dispose()


def test_a_courier_goes_on_when_its_connections_are_cut(world: World, database: Database, tmp_path: Path) -> None:
    with Sink() as sink:
        world.endpoint(sink.url())
        courier = world.start_process(tmp_path / "log", lease="PT30S")
        try:
            for _ in range(5):
                world.decide(20)
                time.sleep(0.3)
                cut_connections(database)
            eventually(lambda: world.states() == {"delivered": 100})
        finally:
            end(courier)
    assert len({request.message_id for request in sink.received}) == 100


@pytest.mark.parametrize(
    ("changed", "status", "says"),
    [
        ({}, 0, "valid"),
        ({"RECOUP_SECRET_KEY": "short"}, 2, "RECOUP_SECRET_KEY"),
        ({"RECOUP_COURIER_LEASE": "PT20S"}, 2, "RECOUP_COURIER_LEASE"),
        ({"RECOUP_COURIER_ALLOWED_NETWORKS": '["127.0.0.1/8"]'}, 2, "RECOUP_COURIER_ALLOWED_NETWORKS"),
    ],
)
def test_check_says_what_is_wrong_with_the_settings(world: World, changed: dict[str, str], status: int, says: str) -> None:
    found = checked(app, {**world.environment(), **changed})
    assert found.exit_code == status
    assert says in found.stdout + found.stderr


@pytest.mark.slow
def test_one_core_delivers_at_least_400_a_second(world: World, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    with Sink() as sink:
        for number in range(4):
            world.endpoint(sink.url(f"/{number}"))
        for _ in range(4):
            world.decide(500)
        courier = world.start_process(tmp_path / "log")
        try:
            psutil.Process(courier.pid).cpu_affinity([min(os.sched_getaffinity(0))])
            sink.await_count(500)
            began, cpu, already = time.monotonic(), sum(psutil.Process(courier.pid).cpu_times()[:2]), len(sink.received)
            sink.await_count(8000, 120)
            seconds, cpu = time.monotonic() - began, sum(psutil.Process(courier.pid).cpu_times()[:2]) - cpu
            eventually(lambda: world.states() == {"delivered": 8000})
        finally:
            end(courier)
    count = 8000 - already
    record_property("deliveries_per_second", round(count / seconds))
    record_property("deliveries_per_cpu_second", round(count / cpu))
    print(f"{count / seconds:.0f} deliveries/s, {cpu / count * 1000:.2f} ms CPU each, {sink.connections} connections")  # noqa: T201
    # By CPU time, so that neighbours on a busy machine do not decide.
    assert count / cpu >= 400
