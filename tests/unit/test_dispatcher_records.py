"""What a Kafka record becomes."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from services.dispatcher.records import Raw, read
from shared.eventlog.kafka_record import kafka_record
from shared.events.envelope import Event
from shared.intake.record import Incoming

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
COMPLAINT = Event(id="c-1", source="/sources/crm", type="com.recoup.complaint.received.v1", data={"text": "My card was charged twice."})


def gateway_record(digest: bytes) -> Incoming:
    return Incoming("acme", COMPLAINT.source, COMPLAINT.id, COMPLAINT.type, "complaints", NOON, NOON, COMPLAINT.canonical(), digest)


def through_kafka(record: Incoming) -> object:
    sent = kafka_record("events", record)
    return read(Raw("events", 0, 7, None, sent.value, sent.headers), NOON)


def test_a_record_of_the_gateway_comes_out_as_it_went_in() -> None:
    record = gateway_record(hashlib.sha256(COMPLAINT.canonical()).digest())
    assert through_kafka(record) == record


def test_the_digest_of_a_webhooks_own_bytes_survives_so_that_a_resend_is_a_duplicate_wherever_it_is_looked_up() -> None:
    record = gateway_record(hashlib.sha256(b'{"complaint": "as the CRM writes it"}').digest())
    assert through_kafka(record) == record


def test_who_says_nonsense_about_the_digest_has_sent_the_event_itself() -> None:
    value = COMPLAINT.canonical()
    found = read(Raw("events", 0, 7, None, value, [("tenant", b"acme"), ("body_sha256", b"ABC")]), NOON)
    assert isinstance(found, Incoming)
    assert found.body_sha256 == hashlib.sha256(value).digest()
