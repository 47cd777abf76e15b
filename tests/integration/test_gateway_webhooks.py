"""Signed webhooks in, mapped to events, into the real inbox."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import orjson
import pytest

from tests.gateway_app import CLAIM, NOW, Running, running, signed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database

MAPPING = {"id": "claim_no", "data": "claim", "time": "created", "subject": "insured.number"}
PAYLOAD = {"claim_no": 4711, "created": 1_795_000_000, "insured": {"number": "V-9"}, "claim": CLAIM}


@pytest.fixture
def gateway(database: Database, redis_url: str) -> Iterator[Running]:
    with running(database, redis_url) as found:
        yield found


def test_a_payload_becomes_an_event_by_the_mapping_of_its_source(gateway: Running) -> None:
    answer = gateway.webhook(*gateway.tenant.source(MAPPING, name="ERP Süd"), PAYLOAD)
    assert answer.status_code == 202
    (body,) = gateway.tenant.bodies()
    assert orjson.loads(body) == {
        "specversion": "1.0",
        "id": "4711",
        "source": "/sources/ERP%20S%C3%BCd",
        "type": "com.recoup.claim.filed.v1",
        "time": "2026-11-18T11:06:40Z",
        "subject": "V-9",
        "datacontenttype": "application/json",
        "data": CLAIM,
    }


def test_a_payload_from_the_future_is_refused(gateway: Running) -> None:
    answer = gateway.webhook(*gateway.tenant.source(MAPPING), {**PAYLOAD, "created": int((NOW + timedelta(days=2)).timestamp())})
    assert (answer.status_code, answer.json()["code"], answer.json()["errors"][0]["field"]) == (422, "time_ahead", "time")
    assert gateway.tenant.bodies() == []


def test_without_a_mapping_the_payload_is_the_data_and_the_message_id_the_event_id(gateway: Running) -> None:
    answer = gateway.webhook(*gateway.tenant.source(), CLAIM, message_id="msg_77")
    assert answer.json()["events"] == [{"id": "msg_77", "source": "/sources/erp", "status": "accepted"}]


def test_a_replay_is_a_duplicate_for_300_seconds_and_refused_later(gateway: Running) -> None:
    source = gateway.tenant.source()
    assert gateway.webhook(*source, CLAIM, at=NOW).status_code == 202
    gateway.clock.advance(300)
    replay = gateway.webhook(*source, CLAIM, at=NOW)
    assert (replay.status_code, replay.json()["events"][0]["status"]) == (200, "duplicate")
    gateway.clock.advance(1)
    refused = gateway.webhook(*source, CLAIM, at=NOW)
    assert (refused.status_code, refused.json()["code"]) == (401, "bad_signature")
    assert gateway.webhook(*source, CLAIM).json()["events"][0]["status"] == "duplicate"


def test_the_same_message_with_other_bytes_is_a_conflict(gateway: Running) -> None:
    source = gateway.tenant.source({"data": "claim"})
    gateway.webhook(*source, {"claim": CLAIM, "note": 1})
    assert gateway.webhook(*source, {"claim": CLAIM, "note": 2}).status_code == 409


def test_a_mutated_byte_is_refused_before_anything_is_read(gateway: Running) -> None:
    source_id, secret = gateway.tenant.source()
    headers = signed(secret, orjson.dumps(CLAIM), message_id="msg_1", at=NOW)
    for body in (orjson.dumps(CLAIM).replace(b"412.9", b"912.9"), b"{" * 100, b""):
        assert gateway.client.post(f"/v1/webhooks/{source_id}", content=body, headers=headers).status_code == 401
    assert gateway.tenant.bodies() == []


def test_a_rotated_secret_works_beside_the_old_one_until_that_expires(gateway: Running) -> None:
    source_id, old = gateway.tenant.source()
    new = gateway.tenant.secret(source_id)
    assert gateway.webhook(source_id, old, CLAIM, message_id="msg_1").status_code == 202
    assert gateway.webhook(source_id, new, CLAIM, message_id="msg_2").status_code == 202
    with gateway.tenant.admin() as connection:
        connection.execute("DELETE FROM source_secrets WHERE id = (SELECT id FROM source_secrets ORDER BY created_at LIMIT 1)")
    gateway.clock.advance(5)
    assert gateway.webhook(source_id, old, CLAIM, message_id="msg_3").status_code == 401
    assert gateway.webhook(source_id, new, CLAIM, message_id="msg_3").status_code == 202


def test_unknown_and_disabled_sources_are_told_apart(gateway: Running) -> None:
    source_id, secret = gateway.tenant.source()
    assert gateway.webhook(uuid4(), secret, CLAIM).status_code == 404
    half = gateway.client.post(f"/v1/webhooks/{str(source_id)[:20]}", content=b"{}")
    assert (half.status_code, half.json()["code"]) == (404, "unknown_source")
    with gateway.tenant.admin() as connection:
        connection.execute("UPDATE sources SET disabled_at = now()")
    assert gateway.webhook(source_id, secret, CLAIM).status_code == 410


@pytest.mark.parametrize(
    ("mapping", "payload", "field"),
    [
        ({"id": "claim_no"}, CLAIM, "id"),
        ({"id": "loss"}, {"loss": {}}, "id"),
        ({"id": "abs(claim_no)"}, {"claim_no": "Canary"}, "id"),
        ({"id": "n"}, {"n": "x" * 300}, "id"),
        ({"id": "broken["}, CLAIM, "id"),
        ({"time": "at"}, {"at": "Canary"}, "time"),
        ({"time": "at"}, {"at": 10**18}, "time"),
        ({"data": "to_number(n)"}, {"n": "9" * 30}, "data"),
        ({"data": "claim"}, {"clam": CLAIM}, "data"),
        ({}, {**CLAIM, "line": "Canary"}, "data.line"),
    ],
)
def test_a_payload_that_the_mapping_does_not_fit_is_refused_with_the_expression(
    gateway: Running, mapping: dict[str, str], payload: object, field: str
) -> None:
    answer = gateway.webhook(*gateway.tenant.source(mapping), payload)
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["field"] == field
    assert "Canary" not in answer.text
    if field in mapping and answer.json()["code"] == "mapping_failed" and len(str(payload)) < 250:
        assert mapping[field] in fault["problem"] or field == "time"


def test_a_source_is_a_sender_of_its_own_tenant_only(gateway: Running) -> None:
    gateway.webhook(*gateway.tenant.source(name="one"), CLAIM)
    gateway.webhook(*gateway.tenant.source(name="two"), CLAIM)
    kept = gateway.tenant.query("SELECT tenant_id, source FROM cases ORDER BY source")
    assert kept == [
        ("acme", "/sources/one"),
        ("acme", "/sources/two"),
    ]


def test_clocks_may_differ_by_300_seconds_either_way(gateway: Running) -> None:
    source = gateway.tenant.source()
    assert gateway.webhook(*source, CLAIM, at=NOW + timedelta(seconds=300)).status_code == 202
    assert gateway.webhook(*source, CLAIM, at=NOW + timedelta(seconds=301)).status_code == 401
