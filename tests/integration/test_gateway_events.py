"""CloudEvents in, over HTTP, into the real inbox."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.gateway_app import BATCH, CLAIM, CLAIM_TYPE, NOW, Running, claim, running
from tests.patience import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database


@pytest.fixture
def gateway(database: Database, redis_url: str) -> Iterator[Running]:
    with running(database, redis_url) as found:
        yield found


def test_a_new_event_is_accepted_and_stored_as_it_was_sent(gateway: Running) -> None:
    answer = gateway.send(claim(time="2026-11-23T09:00:00+01:00"))
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 1, "events": [{"id": "1", "source": "/erp", "status": "accepted"}]}
    (body,) = gateway.tenant.bodies()
    assert orjson.loads(body)["data"] == CLAIM
    assert gateway.tenant.query("SELECT automation, occurred_at::text FROM cases") == [("claims", "2026-11-23 08:00:00+00")]


OUTCOME: dict[str, Any] = {"type": "com.recoup.case.outcome.v1", "data": {"event": {"source": "/erp", "id": "0"}, "result": "refunded"}}


@pytest.mark.parametrize("members", [{}, OUTCOME])
def test_an_event_from_the_future_is_refused_and_counted(gateway: Running, members: dict[str, Any]) -> None:
    """Of several late outcomes the latest holds: one with such a time would hold for ever."""
    later = NOW + timedelta(hours=24, seconds=1)
    answer = gateway.send(claim(time=later.isoformat(), **members))
    assert (answer.status_code, answer.json()["code"], answer.json()["errors"][0]["field"]) == (422, "time_ahead", "time")
    batch = gateway.send([claim("2"), claim("3", time="9999-12-31T23:59:59Z", **members)], BATCH)
    assert [(fault["index"], fault["field"]) for fault in batch.json()["errors"]] == [(1, "time")]
    assert gateway.tenant.query("SELECT FROM cases UNION ALL SELECT FROM case_outcomes") == []
    gateway.clock.advance(1)
    assert gateway.send(claim(time=later.isoformat(), **members)).status_code == 202
    counted = "SELECT sum(received)::int, sum(rejected)::int FROM intake_batches"
    eventually(lambda: gateway.tenant.query(counted) == [(3, 2)])


def test_the_same_event_again_is_a_duplicate_and_changes_nothing(gateway: Running) -> None:
    gateway.send(claim())
    answer = gateway.send(claim())
    assert (answer.status_code, answer.json()["events"][0]["status"]) == (200, "duplicate")
    assert gateway.tenant.query("SELECT sum(received)::int, sum(duplicate)::int FROM intake_batches") == [(2, 1)]


def test_the_same_event_in_another_mode_is_a_duplicate(gateway: Running) -> None:
    gateway.send(claim())
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/erp", "ce-type": CLAIM_TYPE}
    answer = gateway.send(CLAIM, "application/json", **headers)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 0)


def test_the_same_id_with_another_body_is_a_conflict_and_the_first_is_kept(gateway: Running) -> None:
    gateway.send(claim())
    answer = gateway.send(claim(data={**CLAIM, "amount_claimed": 1}))
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert answer.headers["content-type"] == "application/problem+json"
    assert orjson.loads(gateway.tenant.bodies()[0])["data"] == CLAIM


def test_a_batch_is_answered_event_by_event(gateway: Running) -> None:
    gateway.send(claim("1"))
    answer = gateway.send([claim("1"), claim("2")], BATCH)
    assert answer.status_code == 202
    assert [event["status"] for event in answer.json()["events"]] == ["duplicate", "accepted"]
    assert gateway.send([claim("1"), claim("2")], BATCH).status_code == 200
    assert gateway.send([], BATCH).json() == {"accepted": 0, "events": []}


def test_one_bad_event_keeps_the_whole_batch_out_and_every_bad_one_is_named(gateway: Running) -> None:
    bad = {**CLAIM, "cause": "Canary"}
    answer = gateway.send([claim("1"), claim("2", data=bad), {"id": 3}, claim("4", type="unknown"), claim("1")], BATCH)
    assert answer.status_code == 422
    faults = [(fault["index"], fault["field"]) for fault in answer.json()["errors"]]
    assert faults == [(1, "data.cause"), (2, "specversion"), (2, "id"), (2, "source"), (2, "type"), (3, "type"), (4, "")]
    assert CLAIM_TYPE in answer.json()["known"]
    assert "Canary" not in answer.text
    assert gateway.tenant.bodies() == []


def test_a_conflict_in_a_batch_names_it_and_stores_the_others(gateway: Running) -> None:
    gateway.send(claim("1"))
    answer = gateway.send([claim("0"), claim("1", subject="changed"), claim("2")], BATCH)
    assert answer.status_code == 409
    assert [fault["index"] for fault in answer.json()["errors"]] == [1]
    assert answer.json()["accepted"] == 2
    assert len(gateway.tenant.bodies()) == 3


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/cloudevents+json", 422, "malformed"),
        (b"\xff", "application/cloudevents+json", 422, "malformed"),
        (b"[" * 100_000, "application/cloudevents+json", 422, "malformed"),
        (b'{"id":"\\u0000"}', "application/cloudevents+json", 422, "malformed"),
        (orjson.dumps(claim()), "application/json", 415, "unsupported_media"),
        (orjson.dumps(claim()), "application/cloudevents+xml", 415, "unsupported_media"),
        (orjson.dumps(claim()), "application/cloudevents+json; charset=utf-16", 415, "unsupported_media"),
        (orjson.dumps(claim(type="x")), "application/cloudevents+json", 422, "unknown_event_type"),
        (orjson.dumps(claim(data={})), "application/cloudevents+json", 422, "schema_violation"),
        (b" " * 262_145, "application/cloudevents+json", 413, "too_large"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_a_problem(gateway: Running, body: bytes, content_type: str, status: int, code: str) -> None:
    answer = gateway.raw(body, content_type)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert gateway.tenant.bodies() == []


def test_a_compressed_body_is_refused(gateway: Running) -> None:
    assert gateway.raw(b"x", **{"content-encoding": "gzip"}).status_code == 415


@pytest.mark.parametrize(
    ("authorization", "status"),
    [("", 401), ("Bearer nonsense", 401), ("Bearer rk_00_00", 401), ("Basic eDp5", 401)],
)
def test_who_has_no_key_is_refused(gateway: Running, authorization: str, status: int) -> None:
    assert gateway.send(claim(), authorization=authorization).status_code == status


def test_a_key_for_looking_at_figures_may_not_send(gateway: Running) -> None:
    assert gateway.send(claim(), authorization=f"Bearer {gateway.tenant.key('executive')}").status_code == 403
    assert gateway.send(claim(), authorization=f"Bearer {gateway.tenant.key('admin')}").status_code == 202


def test_a_revoked_key_stops_working_within_five_seconds(gateway: Running) -> None:
    assert gateway.send(claim()).status_code == 202
    gateway.tenant.query("UPDATE api_keys SET revoked_at = '2026-01-01' RETURNING id")
    gateway.clock.advance(4.9)
    assert gateway.send(claim()).status_code == 200
    gateway.clock.advance(0.2)
    assert gateway.send(claim()).status_code == 401


def test_a_key_in_use_survives_an_outage_of_the_database_for_the_time_set(gateway: Running) -> None:
    headers = {"authorization": f"Bearer {gateway.token}"}
    assert gateway.client.get("/v1/event-types", headers=headers).status_code == 200
    with gateway.tenant.admin() as connection:
        connection.execute("ALTER ROLE recoup_app NOLOGIN")
        gateway.engine.dispose()
        try:
            gateway.clock.advance(899)
            assert gateway.client.get("/v1/event-types", headers=headers).status_code == 200
            answer = gateway.send(claim())
            gateway.clock.advance(6)
            assert gateway.client.get("/v1/event-types", headers=headers).status_code == 503
        finally:
            connection.execute("ALTER ROLE recoup_app LOGIN")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert gateway.send(claim()).status_code == 202


def test_a_database_that_takes_no_writes_is_away_until_it_does(gateway: Running) -> None:
    assert gateway.send(claim("1")).status_code == 202
    with gateway.tenant.admin() as connection:
        for read_only in ("on", "off"):
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(f'ALTER DATABASE "{gateway.tenant.database.name}" SET default_transaction_read_only = {read_only}'.encode())
            if read_only == "on":
                # As when a standby takes over its address: what is opened from now on is read-only.
                gateway.engine.dispose()
                answers = [gateway.send(claim("2")) for _ in range(2)]
    assert {(answer.status_code, answer.headers.get("retry-after")) for answer in answers} == {(503, "2")}
    eventually(lambda: gateway.send(claim("2")).status_code == 202)


def test_refused_events_of_a_known_automation_are_counted(gateway: Running) -> None:
    for _ in range(3):
        gateway.send(claim(data={}))
    gateway.client.__exit__()
    counted = "SELECT automation, sum(received)::int, sum(rejected)::int FROM intake_batches GROUP BY 1"
    eventually(lambda: gateway.tenant.query(counted) == [("claims", 3, 3)])


def test_a_fast_sender_is_told_when_to_come_back(database: Database, redis_url: str) -> None:
    with running(database, redis_url, events_per_second=10, events_burst=1000) as gateway:
        for number in range(0, 1000, 500):
            assert gateway.send([claim(str(n)) for n in range(number, number + 500)], BATCH).status_code == 202
        refused = gateway.send(claim("x"))
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        other = gateway.send(claim("y"), authorization=f"Bearer {gateway.tenant.key()}")
        assert other.status_code == 202
        gateway.clock.advance(1)
        assert gateway.send(claim("x")).status_code == 202


@pytest.mark.parametrize("address", ["/v1/events", "/v1/webhooks/0192f3c0-a1b2-7c3d-8e4f-5a6b7c8d9e0f", "/v1/webhooks/half"])
def test_a_cloudevents_sender_is_allowed_by_the_handshake(gateway: Running, address: str) -> None:
    answer = gateway.client.options(address, headers={"WebHook-Request-Origin": "erp.example.com", "WebHook-Request-Rate": "120"})
    assert (answer.headers["webhook-allowed-origin"], answer.headers["webhook-allowed-rate"]) == ("*", "120000")
    assert "webhook-allowed-origin" not in gateway.client.options(address).headers


def test_the_longest_identity_that_is_allowed_can_be_indexed(gateway: Running) -> None:
    answer = gateway.send(claim("ä" * 128, source="/" + "s" * 1023))
    assert answer.status_code == 202


def test_a_trace_is_kept_with_the_case(gateway: Running) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = gateway.send(claim(), traceparent=trace)
    gateway.send(claim("2", traceparent=trace))
    kept = gateway.tenant.query("SELECT traceparent FROM cases")
    assert {row[0][:35] for row in kept} == {trace[:35]}
    assert answer.headers["traceparent"][:35] == trace[:35]
