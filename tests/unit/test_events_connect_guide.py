"""The examples of docs/connect.md do what the page says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime
from pathlib import Path

from standardwebhooks import Webhook

from services.gateway.signature import verify
from shared.events.admission import admit
from shared.events.mapping import compiled
from shared.events.outcome import OUTCOMES, CaseOutcome, Result
from shared.events.parse import structured

GUIDE = (Path(__file__).parents[2] / "docs" / "connect.md").read_text()


def test_the_curl_example_is_an_event_that_comes_in() -> None:
    (body,) = re.findall(r"-d '(\{.*?\})'\n```", GUIDE, re.DOTALL)
    automation, _ = admit(structured(body.encode()))
    assert automation.name == "claims"


def test_the_mapping_example_makes_an_event_that_comes_in_of_the_payload_example() -> None:
    payload, mapping, _ = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL))
    event = compiled(mapping).event(payload, message_id="msg_1", source="/sources/erp", event_type="com.recoup.claim.filed.v1")
    admit(event)
    assert (event.id, event.subject) == ("4711", "V-9")


def test_the_id_that_tells_versions_of_a_document_apart_does() -> None:
    (expression,) = re.findall(r"`(join\(.*?\))`", GUIDE)
    mapping = compiled({"id": expression})
    made = [
        mapping.event({"claim_no": 4711, "version": version}, message_id="msg_1", source="/sources/erp", event_type="t").id
        for version in (1, 1, 2)
    ]
    assert made == ["4711-1", "4711-1", "4711-2"]


def test_the_example_of_a_late_outcome_comes_in_as_one() -> None:
    *_, outcome = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    automation, data = admit(structured(outcome.encode()))
    assert automation is OUTCOMES
    assert isinstance(data, CaseOutcome)
    assert data.result is Result.REFUNDED


def test_the_signature_example_is_verified() -> None:
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    sent_at, body = "1795000000", b'{"a":1}'
    assert 'hmac.digest(SECRET, f"{message_id}.{sent_at}.".encode() + body, hashlib.sha256)' in GUIDE
    digest = hmac.digest(secret, f"msg_1.{sent_at}.".encode() + body, hashlib.sha256)
    signature = "v1," + base64.b64encode(digest).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": sent_at, "webhook-signature": signature}
    assert verify([Webhook(secret)], headers, body, datetime.fromtimestamp(int(sent_at), UTC)) == "msg_1"
