"""Reading one Kafka record."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dispatcher.records import Poison, Raw, read
from shared.eventlog.kafka_record import kafka_record
from shared.intake.record import Incoming
from shared.settings import TIME_AHEAD

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CLAIM = {
    "policy_number": "KFZ-1",
    "policy_start": "2026-01-01",
    "policy_end": "2026-12-31",
    "line": "motor",
    "cause": "glass",
    "loss_date": "2026-10-01",
    "reported_date": "2026-10-02",
    "amount_claimed": 412.9,
    "currency": "EUR",
    "sum_insured": "20000",
}
EVENT = json.dumps({"specversion": "1.0", "id": "1", "source": "/erp", "type": "com.recoup.claim.filed.v1", "data": CLAIM}).encode()


def raw(value: bytes | None = EVENT, *, timestamp: int | None = None, **headers: str) -> Raw:
    return Raw("events", 0, 7, timestamp, value, [(name, text.encode()) for name, text in headers.items()])


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def test_what_the_gateway_wrote_is_read_back_as_it_was() -> None:
    first = read(raw(tenant="acme", traceparent=TRACE, received_at="2026-11-23T11:59:00+00:00"), NOW, TIME_AHEAD)
    assert isinstance(first, Incoming)
    written = kafka_record("events", first)
    assert read(Raw("events", 0, 8, None, written.value, written.headers), NOW, TIME_AHEAD) == first


@given(st.binary(max_size=200) | st.none(), st.dictionaries(st.text(max_size=12), st.binary(max_size=40) | st.none(), max_size=5))
def test_no_record_is_bad_enough_to_raise(value: bytes | None, headers: dict[str, bytes | None]) -> None:
    assert isinstance(read(Raw("events", 0, 0, -1, value, list(headers.items())), NOW, TIME_AHEAD), Poison)
    assert isinstance(read(Raw("events", 0, 0, 2**62, value, [*headers.items(), ("tenant", b"acme")]), NOW, TIME_AHEAD), Poison)


@pytest.mark.parametrize(
    ("stamp", "header", "expected"),
    [
        (milliseconds(NOW - timedelta(hours=2)), "", NOW - timedelta(hours=2)),
        (milliseconds(NOW - timedelta(hours=2)), "2026-11-23T11:00:00+00:00", NOW - timedelta(hours=1)),
        (milliseconds(NOW - timedelta(hours=2)), "2026-11-23T11:00:00", NOW - timedelta(hours=2)),
        (milliseconds(NOW + timedelta(days=2)), "", NOW),
        (1000, "", NOW),
        (-1, "yesterday", NOW),
        (None, "0001-01-01T00:00:00+23:00", NOW),
        (2**62, "", NOW),
    ],
)
def test_the_time_of_receipt_is_the_best_that_can_be_true(stamp: int | None, header: str, expected: datetime) -> None:
    incoming = read(raw(timestamp=stamp, tenant="acme", received_at=header), NOW, TIME_AHEAD)
    assert isinstance(incoming, Incoming)
    assert incoming.received_at == expected
    assert incoming.occurred_at == expected


@pytest.mark.parametrize("tenant", ["", "Acme", "a b", "-acme", "a" * 64, "äcme", "acme\0"])
def test_a_tenant_that_cannot_exist_is_nobodys(tenant: str) -> None:
    poison = read(raw(tenant=tenant), NOW, TIME_AHEAD)
    assert isinstance(poison, Poison)
    assert (poison.tenant, poison.error.partition(":")[0]) == (None, "no_tenant")


def test_a_digest_that_is_none_is_worked_out_from_the_canonical_body() -> None:
    incoming = read(raw(tenant="acme", body_sha256="00" * 31, traceparent="nonsense"), NOW, TIME_AHEAD)
    assert isinstance(incoming, Incoming)
    assert incoming.body_sha256 == hashlib.sha256(incoming.body).digest()
    assert incoming.body != EVENT
    assert incoming.traceparent is None


OUTCOME = {"type": "com.recoup.case.outcome.v1", "data": {"event": {"source": "/erp", "id": "0"}, "result": "refunded"}}


@pytest.mark.parametrize("ahead", [timedelta(days=365 * 7000), TIME_AHEAD + timedelta(seconds=1)])
@pytest.mark.parametrize(("members", "automation"), [({}, "claims"), (OUTCOME, "outcomes")])
def test_a_time_too_far_ahead_of_the_arrival_is_poison_of_its_tenant_and_automation(
    ahead: timedelta, members: dict[str, object], automation: str
) -> None:
    event = json.dumps({**json.loads(EVENT), **members, "time": (NOW + ahead).isoformat()}).encode()
    poison = read(raw(event, tenant="acme"), NOW, TIME_AHEAD)
    assert isinstance(poison, Poison)
    assert (poison.tenant, poison.automation, poison.raw.value) == ("acme", automation, event)
    assert poison.error.startswith("time_ahead: ")
    assert "time: is more than 24 hours" in poison.error


@pytest.mark.parametrize("time", [NOW + TIME_AHEAD, datetime(1, 1, 1, tzinfo=UTC)])
def test_a_time_within_the_allowance_or_long_ago_is_none(time: datetime) -> None:
    incoming = read(raw(json.dumps({**json.loads(EVENT), "time": time.isoformat()}).encode(), tenant="acme"), NOW, TIME_AHEAD)
    assert isinstance(incoming, Incoming)
    assert incoming.occurred_at == time


def test_ahead_is_ahead_of_the_arrival_however_long_the_record_lay() -> None:
    """Else the same record would be poison or not by the hour in which somebody reads it."""
    event = json.dumps({**json.loads(EVENT), "time": (NOW + timedelta(hours=1)).isoformat()}).encode()
    late = raw(event, tenant="acme", received_at=(NOW - timedelta(hours=24)).isoformat())
    assert isinstance(read(late, NOW, TIME_AHEAD), Poison)
