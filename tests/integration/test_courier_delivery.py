"""The courier against a real receiver: what arrives, how often, and what is written down about it."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from prometheus_client import REGISTRY
from standardwebhooks.webhooks import Webhook

from services.courier import schedule
from services.courier.repository import claim, plan, reclaim, settle
from services.courier.transport import Sender
from services.courier.values import Claimed, Demand, Reply
from services.ops.repository.deliveries import again
from shared.clock import SystemClock
from shared.db import unit_of_work
from shared.security.guard import Policy
from shared.security.vault import new_webhook_secret
from tests.courier_sink import Answer, Received, Sink
from tests.courier_world import World
from tests.patience import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    made = World(database)
    yield made
    made.engine.dispose()


def test_every_enabled_endpoint_that_wants_the_automation_gets_the_decision_once(world: World) -> None:
    with Sink() as sink:
        world.endpoint(sink.url("/all"))
        world.endpoint(sink.url("/claims"), automations=["claims", "complaints"])
        world.endpoint(sink.url("/invoices"), automations=["invoices"])
        disabled = world.endpoint(sink.url("/disabled"))
        world.execute("UPDATE endpoints SET state = 'disabled' WHERE id = %(id)s", id=disabled)
        bodies = world.decide(3, automation="claims")
        with world.courier():
            world.settled()
        assert sorted((request.path, request.body) for request in sink.received) == sorted(
            (path, body) for path in ("/all", "/claims") for body in bodies
        )
        assert world.states() == {"delivered": 6}


def test_decisions_of_another_tenant_stay_away(world: World, database: Database) -> None:
    other = World(database)
    with Sink() as sink:
        other.endpoint(sink.url("/other"))
        world.endpoint(sink.url("/mine"))
        world.decide(2)
        with world.courier():
            world.settled()
        assert [request.path for request in sink.received] == ["/mine", "/mine"]
    other.engine.dispose()


def test_headers_are_those_of_standard_webhooks_and_any_of_its_libraries_verifies_them(world: World) -> None:
    secret = new_webhook_secret()
    with Sink() as sink:
        world.endpoint(sink.url("/hook?key=a%20b"), secrets=[secret])
        world.decide()
        with world.courier():
            (request,) = sink.await_count(1)
            (delivery,) = world.settled()
    Webhook(secret).verify(request.body, request.headers)
    assert request.path == "/hook?key=a%20b"
    assert request.message_id == f"msg_{delivery.id.hex}"
    assert request.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert request.headers["host"] == f"127.0.0.1:{sink.port}"
    assert request.headers["traceparent"].startswith("00-" + "ab" * 16)
    assert json.loads(request.body)["type"] == "com.recoup.decision.made.v1"


def test_while_secrets_rotate_every_valid_one_signs_and_an_expired_one_does_not(world: World) -> None:
    old, new, expired = new_webhook_secret(), new_webhook_secret(), new_webhook_secret()
    with Sink() as sink:
        endpoint = world.endpoint(sink.url(), secrets=[])
        world.secret(endpoint, old, expires_in_seconds=3600)
        world.secret(endpoint, new)
        world.secret(endpoint, expired, expires_in_seconds=-1)
        world.decide()
        with world.courier():
            (request,) = sink.await_count(1)
    assert len(request.headers["webhook-signature"].split(" ")) == 2
    for secret in (old, new):
        Webhook(secret).verify(request.body, request.headers)


def test_nothing_is_ever_sent_unsigned(world: World) -> None:
    with Sink() as sink:
        world.endpoint(sink.url(), secrets=[])
        world.decide()
        with world.courier():
            (delivery,) = world.settled()
        assert sink.received == []
    assert (delivery.state, delivery.attempt, delivery.last_error) == ("pending", 1, "no_usable_secret")


def test_a_secret_sealed_with_a_lost_key_stops_its_endpoint_only(world: World, database: Database) -> None:
    stranger = World(database)
    with Sink() as sink:
        broken = world.endpoint(sink.url("/broken"), secrets=[])
        stranger.secret(broken, new_webhook_secret())
        world.endpoint(sink.url("/well"))
        world.decide()
        with world.courier():
            world.settled()
        assert [request.path for request in sink.received] == ["/well"]
    assert world.states() == {"pending": 1, "delivered": 1}
    stranger.engine.dispose()


def test_every_retry_has_the_same_id_and_bytes_and_a_new_timestamp(world: World) -> None:
    secret = new_webhook_secret()
    with Sink(lambda _request, count: Answer(500) if count < 4 else Answer(200)) as sink:
        world.endpoint(sink.url(), secrets=[secret])
        (body,) = world.decide()
        with world.courier():
            for attempt in range(1, 5):
                sink.await_count(attempt)
                eventually(lambda: not world.execute("SELECT FROM deliveries WHERE state = 'sending'"))
                time.sleep(1.05)
                world.execute("UPDATE deliveries SET next_attempt_at = now()")
            eventually(lambda: world.states() == {"delivered": 1})
    assert {(request.message_id, request.body) for request in sink.received} == {(sink.received[0].message_id, body)}
    assert len({request.headers["webhook-timestamp"] for request in sink.received}) == 4
    for request in sink.received:
        Webhook(secret).verify(request.body, request.headers)
    (delivery,) = world.deliveries()
    assert (delivery.attempt, delivery.last_status, delivery.last_error) == (4, 200, None)


@pytest.mark.parametrize(
    ("answer", "error", "due_in"),
    [
        (Answer(500), "http_500", (4.0, 6.0)),
        (Answer(404), "http_404", (4.0, 6.0)),
        (Answer(301, {"Location": "http://127.0.0.1:1/"}), "http_301", (4.0, 6.0)),
        (Answer(429, {"Retry-After": "120"}), "http_429", (110.0, 121.0)),
        (Answer(503, {"Retry-After": "99999999999"}), "http_503", (86_000.0, 86_401.0)),
        (Answer(reset=True), "connection_lost", (4.0, 6.0)),
        (Answer(delay=5), "timeout", (4.0, 6.0)),
        (Answer(200, drip=0.2), "timeout", (4.0, 6.0)),
    ],
)
def test_a_failure_is_written_down_and_waits_for_its_retry(world: World, answer: Answer, error: str, due_in: tuple[float, float]) -> None:
    with Sink(lambda _request, _count: answer) as sink:
        endpoint = world.endpoint(sink.url())
        world.decide()
        with world.courier(timeout=timedelta(milliseconds=600)):
            (delivery,) = world.settled()
        assert len(sink.received) == 1
    assert (delivery.state, delivery.attempt, delivery.last_error) == ("pending", 1, error)
    assert due_in[0] - 1 < delivery.due_in <= due_in[1]
    ((since,),) = world.execute("SELECT failing_since FROM endpoints WHERE id = %(id)s", id=endpoint)
    assert since is not None


def test_a_2xx_counts_even_where_its_body_is_endless(world: World) -> None:
    def answer(_request: Received, _count: int) -> Answer:
        return Answer(200, body=b"x" * 300_000)

    with Sink(answer) as sink:
        world.endpoint(sink.url())
        world.decide(3)
        with world.courier():
            world.settled()
        assert world.states() == {"delivered": 3}
        assert len(sink.received) == 3


def test_410_disables_the_endpoint_and_says_so_in_the_audit_log(world: World) -> None:
    with Sink(lambda _request, _count: Answer(410)) as sink:
        endpoint = world.endpoint(sink.url())
        world.decide(30)
        with world.courier():
            eventually(lambda: world.states() == {"dead": 30})
        assert len(sink.received) <= 8
    assert world.execute("SELECT state, disabled_reason FROM endpoints") == [("disabled", "gone")]
    ((action, object_id, detail),) = world.execute("SELECT action, object_id, detail FROM audit_log")
    assert (action, object_id, detail["reason"]) == ("endpoint.disabled", str(endpoint), "gone")
    assert {row.last_error for row in world.deliveries()} <= {"http_410", "endpoint_disabled"}


def test_an_endpoint_that_only_failed_for_five_days_is_disabled_and_one_success_starts_the_count_anew(world: World) -> None:
    with Sink(lambda request, _count: Answer(200 if request.path == "/well" else 500)) as sink:
        world.endpoint(sink.url("/ill"))
        world.endpoint(sink.url("/young"))
        world.endpoint(sink.url("/well"))
        world.execute(
            "UPDATE endpoints SET failing_since = now() - make_interval(hours => CASE WHEN url LIKE '%%/young' THEN 119 ELSE 121 END)"
        )
        world.decide()
        with world.courier():
            eventually(lambda: world.states() == {"pending": 1, "dead": 1, "delivered": 1})
    found = {url.rpartition("/")[2]: rest for url, *rest in world.execute("SELECT url, state, failing_since IS NULL FROM endpoints")}
    assert found == {"ill": ["disabled", False], "young": ["enabled", False], "well": ["enabled", True]}


def test_after_the_last_attempt_a_delivery_is_dead_until_somebody_replays_it(world: World) -> None:
    with Sink(lambda _request, count: Answer(500 if count == 1 else 204)) as sink:
        world.endpoint(sink.url())
        world.decide()
        with world.courier():
            eventually(world.deliveries)
            world.settled()
            world.execute("UPDATE deliveries SET attempt = 10, state = 'dead'")
            world.execute("UPDATE deliveries SET state = 'pending', next_attempt_at = now()")
            eventually(lambda: world.states() == {"delivered": 1})
        assert len({request.message_id for request in sink.received}) == 1
    assert world.deliveries()[0].attempt == 11


def test_the_tenth_failure_is_the_last(world: World) -> None:
    with Sink(lambda _request, _count: Answer(500)) as sink:
        world.endpoint(sink.url())
        world.decide()
        with world.courier():
            eventually(lambda: world.states() == {"pending": 1} and world.deliveries()[0].attempt == 1)
            world.execute("UPDATE deliveries SET attempt = 9, next_attempt_at = now()")
            eventually(lambda: world.states() == {"dead": 1})
        assert len(sink.received) == 2
    assert world.deliveries()[0].attempt == 10


def test_deliveries_to_a_deleted_endpoint_die(world: World) -> None:
    endpoint = world.endpoint("https://127.0.0.1:1/nowhere")
    world.decide(5)
    with world.courier():
        eventually(lambda: sum(world.states().values()) == 5)
        world.execute("DELETE FROM endpoints WHERE id = %(id)s", id=endpoint)
        eventually(lambda: world.states() == {"dead": 5})


def test_without_a_decisions_topic_decisions_count_as_published_when_they_were_made(world: World) -> None:
    world.decide(3)
    with world.courier():
        eventually(lambda: not world.execute("SELECT FROM outbox WHERE planned_at IS NULL"))
    assert world.execute("SELECT count(*)::int FROM outbox WHERE published_at = created_at") == [(3,)]


def test_one_receiver_that_drips_does_not_hold_up_the_others(world: World) -> None:
    slow = Answer(200, drip=1.0)
    with Sink(lambda request, _count: slow if request.path == "/slow" else Answer()) as sink:
        world.endpoint(sink.url("/slow"))
        for number in range(10):
            world.endpoint(sink.url(f"/quick-{number}"))
        world.decide(60)
        with world.courier(concurrency=16, timeout=timedelta(seconds=5), lease=timedelta(seconds=15)):
            began = time.monotonic()
            eventually(lambda: world.states().get("delivered", 0) == 600, 15)
            assert time.monotonic() - began < 15
        assert sum(request.path == "/slow" for request in sink.received) <= 8


def test_an_address_that_is_not_public_is_never_called(world: World) -> None:
    with Sink() as sink:
        world.endpoint(sink.url())
        world.endpoint(f"https://127.0.0.1:{sink.port}/hook")
        world.endpoint(f"https://localhost:{sink.port}/hook")
        world.decide()
        with world.courier(sender=Sender(Policy(), timeout=timedelta(seconds=2), clock=SystemClock())):
            found = world.settled()
        assert sink.connections == 0
    assert all(row.last_error.startswith("blocked: ") for row in found)


@pytest.mark.parametrize(("attempt", "counted"), [(1, "blocked"), (9, "dead")])
def test_a_delivery_that_is_given_up_counts_as_such_also_where_its_address_is_blocked(world: World, attempt: int, counted: str) -> None:
    """The alarm looks at what was given up; ``attempt`` have been made before."""
    world.endpoint("https://127.0.0.1/hook")
    world.decide()
    with unit_of_work(world.engine) as connection:
        plan(connection, limit=1, publishes=False)
    world.execute("UPDATE deliveries SET attempt = %(attempt)s", attempt=attempt)
    before = REGISTRY.get_sample_value("recoup_deliveries_total", {"result": counted})
    assert before is not None
    clock = SystemClock()
    with world.courier(sender=Sender(Policy(), timeout=timedelta(seconds=1), clock=clock)):
        world.settled()
    assert REGISTRY.get_sample_value("recoup_deliveries_total", {"result": counted}) == before + 1


def test_an_answer_from_before_a_replay_changes_nothing_of_it(world: World) -> None:
    """Both are first attempts: the late one's courier stood still until its lease was over, and a person sent it again meanwhile."""
    world.endpoint("https://a.example/")
    world.decide()
    with unit_of_work(world.engine) as connection:
        plan(connection, limit=1, publishes=False)
    late = _claimed(world)
    world.execute("UPDATE deliveries SET lease_until = now() - interval '1 second'")
    with unit_of_work(world.engine) as connection:
        reclaim(connection, limit=1)
    _settled(world, _claimed(world), 410)
    world.execute("UPDATE endpoints SET state = 'enabled'")
    with unit_of_work(world.engine) as connection:
        assert again(connection, late.id)
    replayed = _claimed(world)
    assert (late.attempt, replayed.attempt) == (1, 1)
    for status in (200, 410):
        _settled(world, late, status)
        assert world.states() == {"sending": 1}
        assert world.execute("SELECT state FROM endpoints") == [("enabled",)]
    _settled(world, replayed, 500)
    (delivery,) = world.deliveries()
    assert (delivery.state, delivery.attempt, delivery.last_status) == ("pending", 1, 500)


def _claimed(world: World) -> Claimed:
    with unit_of_work(world.engine) as connection:
        (claimed,) = claim(connection, Demand({}, 1, 1), lease=timedelta(seconds=60), start_before=0.0)
    return claimed


def _settled(world: World, claimed: Claimed, status: int) -> None:
    result = schedule.settle(claimed, Reply(status), chance=0.5, now=SystemClock().now())
    with unit_of_work(world.engine) as connection:
        settle(connection, [result], disable_after=timedelta(days=5))
