"""One event can be followed through every process by its trace id; its text is only where it must be: in Postgres and in its record."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from kafka import KafkaConsumer, TopicPartition

from shared.settings import KafkaSettings
from shared.telemetry import trace
from tests import local_http
from tests.courier_sink import Received, Sink
from tests.harness.line import ReadyLine
from tests.patience import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PROCESSES = ("gateway", "dispatcher", "worker", "courier", "steward", "ops", "roi")


@dataclass(frozen=True, slots=True)
class Followed:
    """An event that has been decided and whose decision has been received."""

    line: ReadyLine
    trace_id: str
    canary: str
    event_id: str
    callback: Received

    def lines(self, process: str) -> list[dict[str, object]]:
        """Of a process's log; fails where a line is no JSON object."""
        text = Path(self.line.facts["logs"], f"{process}.log").read_text(encoding="utf-8")
        lines = [json.loads(line) for line in text.splitlines()]
        assert all(isinstance(line, dict) for line in lines)
        return lines

    def tells(self, process: str, event: str) -> bool:
        return any(
            line["event"] == event and (line.get("trace_id") == self.trace_id or self.trace_id in _listed(line))
            for line in self.lines(process)
        )


def _listed(line: dict[str, object]) -> list[object]:
    ids = line.get("trace_ids", [])
    assert isinstance(ids, list)
    return ids


@pytest.fixture(scope="module")
def followed(line: ReadyLine) -> Iterator[Followed]:
    tenant, canary, header = f"traced-{uuid4().hex[:8]}", f"canary{uuid4().hex}", trace.new()
    line.recoup("keys", "tenant", "create", tenant, "--currency", "USD")
    key = json.loads(line.recoup("keys", "create", "--tenant", tenant, "--role", "admin", "--name", "test", "--json"))["token"]
    headers = {"Authorization": f"Bearer {key}"}
    with Sink() as sink:
        body = {"url": sink.url("/decisions")}
        local_http.post(f"{line.url('ops')}/v1/endpoints", headers=headers, json=body).raise_for_status()
        # Everything automated: a review would wait for a person.
        local_http.patch(f"{line.url('ops')}/v1/automations/claims", headers=headers, json={"control_share": "0"}).raise_for_status()
        answer = local_http.post(
            f"{line.url('gateway')}/v1/events",
            headers={**headers, "Content-Type": "application/cloudevents+json", "traceparent": header},
            content=json.dumps(_claim(canary)),
        )
        assert answer.status_code == 202, answer.text
        _refused(line, headers, canary)
        eventually(lambda: bool(sink.received))
        # The last process to speak writes its line after the answer to its request has arrived.
        time.sleep(1.0)
        yield Followed(line, trace.trace_id(header), canary, canary[:12], sink.received[0])


def _claim(canary: str) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": canary[:12],
        "source": "/erp/claims",
        "type": "com.recoup.claim.filed.v1",
        "data": {
            "policy_number": "KFZ-2291-88", "policy_start": "2026-01-01", "policy_end": "2026-12-31",
            "line": "motor", "cause": "glass", "loss_date": "2026-11-20", "reported_date": "2026-11-21",
            "amount_claimed": "212.90", "currency": "EUR", "deductible": "150.00", "sum_insured": "25000.00",
            "description": f"Stone chip on the A7, windscreen cracked. {canary}",
        },
    }  # fmt: skip


def _refused(line: ReadyLine, headers: dict[str, str], canary: str) -> None:
    """What is wrong is text of a customer too: none of these may come back in a log line."""
    claim = _claim(canary)
    bodies = [
        json.dumps({**claim, "id": "other", "data": {**_data(claim), "cause": canary}}),
        json.dumps({**claim, "type": canary}),
        json.dumps(claim)[:-3] + canary,
        json.dumps({**claim, "data": {**_data(claim), "description": f"changed {canary}"}}),
    ]
    for body in bodies:
        answer = local_http.post(
            f"{line.url('gateway')}/v1/events", headers={**headers, "Content-Type": "application/cloudevents+json"}, content=body
        )
        assert answer.status_code in {409, 422}, answer.text


def _data(claim: dict[str, object]) -> dict[str, object]:
    data = claim["data"]
    assert isinstance(data, dict)
    return data


@pytest.mark.parametrize(
    ("process", "event"),
    [
        ("gateway", "events_appended"),
        ("dispatcher", "batch_stored"),
        ("worker", "cases_decided"),
        ("courier", "delivery_attempted"),
        ("courier", "decisions_published"),
    ],
)
def test_every_process_on_the_way_tells_of_the_trace(followed: Followed, process: str, event: str) -> None:
    eventually(lambda: followed.tells(process, event))


@pytest.mark.parametrize("process", PROCESSES)
def test_every_line_of_a_log_is_one_json_object_without_the_customers_text(followed: Followed, process: str) -> None:
    lines = followed.lines(process)
    assert all({"event", "level", "service", "timestamp"} <= set(line) for line in lines)
    assert followed.canary not in json.dumps(lines)


def test_no_log_of_a_server_holds_the_customers_text(followed: Followed) -> None:
    for file in Path(followed.line.facts["logs"]).glob("*.log"):
        assert followed.canary not in file.read_text(encoding="utf-8", errors="replace"), file.name


def test_the_case_and_the_callback_belong_to_the_senders_trace(followed: Followed) -> None:
    with followed.line.database() as connection:
        rows = connection.execute("SELECT traceparent FROM cases WHERE event_id = %s", [followed.event_id]).fetchall()
    assert [trace.trace_id(row[0]) for row in rows] == [followed.trace_id]
    assert trace.trace_id(followed.callback.headers["traceparent"]) == followed.trace_id
    assert followed.canary.encode() not in followed.callback.body


def test_records_carry_the_trace_in_a_header_and_the_text_in_none(followed: Followed) -> None:
    settings = KafkaSettings(bootstrap_servers=followed.line.facts["environment"]["RECOUP_KAFKA_BOOTSTRAP_SERVERS"])
    seen = 0
    for topic in (settings.events_topic, settings.decisions_topic, settings.dead_topic):
        for record in _records(settings, topic):
            headers = dict(record.headers)
            assert followed.canary not in str(headers)
            assert followed.canary not in str(record.key)
            seen += followed.trace_id.encode() in headers.get("traceparent", b"")
    # Its own record, the one of the conflicting event is of another trace, and its decision.
    assert seen == 2


def _records(settings: KafkaSettings, topic: str) -> Iterator[Any]:
    """Everything in a topic so far."""
    consumer = KafkaConsumer(bootstrap_servers=settings.bootstrap_servers, consumer_timeout_ms=5000, enable_auto_commit=False)
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    consumer.seek_to_beginning(*partitions)
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        for records in consumer.poll(timeout_ms=500).values():
            yield from records
    consumer.close()


def test_redis_holds_nothing_of_the_customers_text(followed: Followed) -> None:
    with redis.Redis.from_url(followed.line.facts["environment"]["RECOUP_REDIS_URL"]) as client:
        for key in client.scan_iter(count=1000):
            assert followed.canary not in f"{key!r} {_value(client, key)!r}"


def _value(client: redis.Redis, key: bytes) -> object:
    """Not `DUMP`, which compresses."""
    match client.type(key):
        case b"string":
            return client.get(key)
        case b"list":
            return client.lrange(key, 0, -1)
        case b"hash":
            return client.hgetall(key)
        case b"set":
            return client.smembers(key)
        case b"zset":
            return client.zrange(key, 0, -1)
        case b"none":
            # It has expired meanwhile.
            return None
        case kind:
            raise AssertionError(f"{kind!r} is not looked into")


@pytest.mark.parametrize("process", PROCESSES)
def test_metrics_hold_nothing_of_the_customers_text(followed: Followed, process: str) -> None:
    answer = local_http.get(f"{followed.line.url(process)}/metrics")
    answer.raise_for_status()
    assert followed.canary not in answer.text
