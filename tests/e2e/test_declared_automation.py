"""A table becomes an automation by what the guide says, without a program: an event is decided by the pack, or goes to a person."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.harness import tickets
from tests.harness.line import ReadyLine
from tests.local_http import get, patch, post
from tests.patience import HANG_SECONDS

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EVENT_TYPE = "recoup.tickets.received.v1"


@dataclass(frozen=True, slots=True)
class Helpdesk:
    line: ReadyLine
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def send(self, event_id: str, **data: object) -> httpx.Response:
        event = {"specversion": "1.0", "id": event_id, "source": "/helpdesk", "type": EVENT_TYPE, "data": data}
        headers = {**self.headers, "Content-Type": "application/cloudevents+json"}
        return post(f"{self.line.url('gateway')}/v1/events", headers=headers, content=json.dumps(event))

    def settled(self, event_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + HANG_SECONDS
        while time.monotonic() < deadline:
            answer = get(f"{self.line.url('ops')}/v1/cases", params={"event_id": event_id}, headers=self.headers).raise_for_status()
            for case in answer.json()["items"]:
                if case["state"] in {"decided", "review"}:
                    return dict(get(f"{self.line.url('ops')}/v1/cases/{case['id']}", headers=self.headers).raise_for_status().json())
            time.sleep(0.2)
        raise TimeoutError(f"{event_id} was not settled")


@pytest.fixture(scope="module")
def helpdesk(line: ReadyLine) -> Helpdesk:
    tenant = f"helpdesk-{uuid4().hex[:8]}"
    line.recoup("keys", "tenant", "create", tenant, "--currency", "EUR")
    key = json.loads(line.recoup("keys", "create", "--tenant", tenant, "--role", "admin", "--name", "test", "--json"))["token"]
    found = Helpdesk(line, key)
    # Otherwise some cases would go to people without having been asked about.
    body = {"control_share": "0", "audit_share": "0"}
    patch(f"{line.url('ops')}/v1/automations/tickets", headers=found.headers, json=body).raise_for_status()
    return found


def test_the_guides_event_is_decided_by_the_pack(helpdesk: Helpdesk) -> None:
    train, up, send = tickets.commands()
    assert train.startswith("recoup lab train")
    assert up == "RECOUP_PACKS=packs recoup up\n"
    environment = {"PATH": "/usr/bin:/bin", "RECOUP_GATEWAY_URL": helpdesk.line.url("gateway"), "RECOUP_API_KEY": helpdesk.key}
    sent = subprocess.run(["bash", "-c", send], env=environment, capture_output=True, text=True, check=True, timeout=HANG_SECONDS)
    assert json.loads(sent.stdout)["accepted"] == 1, sent.stdout
    case = helpdesk.settled("t-1001")
    assert (case["automation"], case["state"]) == ("tickets", "decided")
    assert case["decision"]["outcome"] == "billing"
    assert case["decision"]["model_version"].startswith("tickets@")


def test_what_the_pack_cannot_tell_and_what_only_a_person_decides_goes_to_a_person(helpdesk: Helpdesk) -> None:
    vague = {"body": "nothing of what this table has ever held", "channel": "fax", "items": None}
    threat = {"body": "Hello, my lawyer will contact you, I will take you to court, thanks", "channel": "mail", "items": 3}
    assert helpdesk.send("t-vague", **vague).status_code == 202
    assert helpdesk.send("t-threat", **threat, customer="kept, and ignored").status_code == 202
    assert helpdesk.settled("t-vague")["state"] == "review"
    assert helpdesk.settled("t-threat")["state"] == "review"


def test_an_event_that_is_not_like_the_table_is_refused(helpdesk: Helpdesk) -> None:
    assert helpdesk.send("t-none", body="where is my delivery", channel="mail").status_code == 422
    assert helpdesk.send("t-text", body="where is my delivery", channel="mail", items="three").status_code == 422
    listed = get(f"{helpdesk.line.url('gateway')}/v1/event-types", headers=helpdesk.headers).raise_for_status().json()
    (schema,) = (found["data_schema"] for found in listed["items"] if found["type"] == EVENT_TYPE)
    assert set(schema["properties"]) == {"body", "channel", "items"}
