"""Our verification against the vectors of Standard Webhooks."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook

from services.gateway.errors import BadSignature
from services.gateway.signature import TOLERANCE, verify
from shared.errors import Malformed
from shared.security.vault import new_webhook_secret

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
SENT = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def vectors(public_data: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((public_data / "standard-webhooks" / "vectors.json").read_text())
    return found


def _headers(secret: str = SECRET, **changed: str) -> dict[str, str]:
    sent = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(SENT.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", SENT, BODY.decode()),
    }
    return {**sent, **{name.replace("_", "-"): value for name, value in changed.items()}}


def _accepts(vector: dict[str, Any]) -> bool:
    headers = {"webhook-id": vector["msg_id"], "webhook-timestamp": str(vector["timestamp"]), "webhook-signature": vector["signature"]}
    now = datetime.fromtimestamp(vector["timestamp"], UTC)
    try:
        return verify([Webhook(vector["secret"])], headers, vector["payload"].encode(), now) == str(vector["msg_id"])
    except BadSignature:
        return False


def test_every_symmetric_vector_is_judged_as_published(vectors: list[dict[str, Any]]) -> None:
    symmetric = [vector for vector in vectors if "secret" in vector]
    assert len(symmetric) >= 6
    assert {v["name"]: _accepts(v) for v in symmetric} == {v["name"]: v["verify_ignoring_time"] for v in symmetric}


def test_an_asymmetric_signature_is_not_taken_for_a_symmetric_one(vectors: list[dict[str, Any]]) -> None:
    asymmetric = [{**vector, "secret": SECRET} for vector in vectors if "secret" not in vector]
    assert asymmetric
    assert not any(_accepts(vector) for vector in asymmetric)


@pytest.mark.parametrize(("seconds", "accepted"), [(0, True), (300, True), (-300, True), (301, False), (-301, False), (3600, False)])
def test_a_timestamp_is_accepted_within_300_seconds(seconds: int, accepted: bool) -> None:  # noqa: FBT001  # a table of cases
    assert timedelta(seconds=300) == TOLERANCE
    now = SENT + timedelta(seconds=seconds)
    if accepted:
        assert verify([Webhook(SECRET)], _headers(), BODY, now) == "msg_1"
    else:
        with pytest.raises(BadSignature, match="300 seconds"):
            verify([Webhook(SECRET)], _headers(), BODY, now)


def test_every_mutated_byte_is_noticed() -> None:
    for position in range(len(BODY)):
        mutated = BODY[:position] + bytes([BODY[position] ^ 1]) + BODY[position + 1 :]
        with pytest.raises(BadSignature):
            verify([Webhook(SECRET)], _headers(), mutated, SENT)


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook_id": "msg_2"},
        {"webhook_id": ""},
        {"webhook_timestamp": str(int(SENT.timestamp()) + 1)},
        {"webhook_timestamp": ""},
        {"webhook_timestamp": "soon"},
        {"webhook_timestamp": "nan"},
        {"webhook_timestamp": f"{SENT.timestamp()}"},
        {"webhook_timestamp": "9" * 400},
        {"webhook_signature": ""},
        {"webhook_signature": "v1"},
        {"webhook_signature": "v1,%%%"},
        {"webhook_signature": "v1,é"},
        {"webhook_signature": ", , ,"},
    ],
)
def test_every_changed_or_mangled_header_is_refused(changed: dict[str, str]) -> None:
    with pytest.raises(BadSignature):
        verify([Webhook(SECRET)], _headers(**changed), BODY, SENT)


def test_old_and_new_secret_both_verify_while_they_are_rotated() -> None:
    new = new_webhook_secret()
    for secret in (SECRET, new):
        assert verify([Webhook(new), Webhook(SECRET)], _headers(secret), BODY, SENT)
    both = {"webhook_signature": f"{_headers()['webhook-signature']} {_headers(new)['webhook-signature']}"}
    assert verify([Webhook(new)], _headers(**both), BODY, SENT)
    with pytest.raises(BadSignature):
        verify([], _headers(), BODY, SENT)


def test_a_body_that_is_not_utf_8_is_refused_as_such() -> None:
    with pytest.raises(Malformed, match="UTF-8"):
        verify([Webhook(SECRET)], _headers(), b"\xff", SENT)
