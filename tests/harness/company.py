"""A company that uses Recoup: it sends webhooks until they are accepted, says later what became of some cases, receives decisions, and its
people work the reviews, audits among them.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import uvicorn
from standardwebhooks import Webhook

from shared.automations.registry import automations
from tests import local_http

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from tests.harness.line import ReadyLine

SENDERS = 8
# Longer than any restart: an integrator's own retry table goes on for hours.
ACCEPT_SECONDS = 120.0


# Of automatic decisions that people make again: more than by default, so that there are some in every run.
AUDIT_SHARE = "0.1"
# What one error costs, unless the company says what it cost in truth.
LOSS_PER_ERROR, LOSS = "50.00", "7.00"
# Of every so many events the company says later what became of them, each time another thing.
LATE_EVERY = 9
RESULTS = ("confirmed_wrong", "reopened", "confirmed_right")
# Nobody says alone that a decision was wrong.
PEOPLE = ("clerk", "colleague")


@dataclass(frozen=True, slots=True)
class Sent:
    """One business fact: ``payload`` is the data of its event."""

    event_id: str
    automation: str
    payload: dict[str, Any]


@dataclass(slots=True)
class Receiver:
    """What arrived at the company's own endpoint: bodies by event id and webhook-id."""

    secret: str = ""
    bodies: dict[str, dict[str, set[bytes]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))
    lock: threading.Lock = field(default_factory=threading.Lock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        # Raises, so answers 500, where the signature is wrong.
        Webhook(self.secret).verify(body, headers)
        with self.lock:
            self.bodies[json.loads(body)["data"]["event"]["id"]][headers["webhook-id"]].add(body)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@contextmanager
def receiving(receiver: Receiver) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(receiver, host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/decisions"
    finally:
        server.should_exit = True
        thread.join(timeout=10)


@dataclass(slots=True)
class Company:
    """A tenant of the line."""

    line: ReadyLine
    tenant: str
    key: str
    receiver: Receiver
    sources: dict[str, tuple[str, str]] = field(default_factory=dict)
    # What the company says later, by event id.
    results: dict[str, str] = field(default_factory=dict)

    def ask(self, service: str, method: str, path: str, **options: Any) -> Any:
        """Call an API until it answers; the URL may change with a restart, and a process may be away."""
        deadline = time.monotonic() + ACCEPT_SECONDS
        while True:
            try:
                url = self.line.url(service) + path
                answer = local_http.request(method, url, headers={"Authorization": f"Bearer {self.key}"}, timeout=30, **options)
                if answer.status_code < 500:
                    assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
                    return answer.json() if answer.content else None
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, f"{method} {path} was never answered"
            time.sleep(0.2)

    def send_all(self, events: Sequence[Sent], *, seed: int, meanwhile: Callable[[], None] | None = None) -> None:
        """Send each event twice, and what became of some of them twice as well, shuffled: outcomes come before their cases, too.

        ``meanwhile`` is called once when about a third has been accepted.
        """
        self.results = {event.event_id: RESULTS[n % len(RESULTS)] for n, event in enumerate(events[::LATE_EVERY])}
        late = [self._late(event) for event in events if event.event_id in self.results]
        order = [*events, *late, *events, *late]
        random.Random(seed).shuffle(order)
        third = len(order) // 3
        with ThreadPoolExecutor(SENDERS) as pool, httpx.Client(timeout=10, verify=False) as client:
            list(pool.map(lambda event: self._send(client, event), order[:third]))
            rest = pool.map(lambda event: self._send(client, event), order[third:])
            if meanwhile is not None:
                meanwhile()
            list(rest)

    def _late(self, event: Sent) -> Sent:
        result = self.results[event.event_id]
        payload: dict[str, Any] = {"event": {"source": f"/sources/{event.automation}", "id": event.event_id}, "result": result}
        if result == "confirmed_wrong":
            payload["loss"] = {"amount": LOSS, "currency": "EUR"}
        return Sent(f"late-{event.event_id}", "late", payload)

    def _send(self, client: httpx.Client, event: Sent) -> None:
        path, secret = self.sources[event.automation]
        body = json.dumps({"id": event.event_id, "data": event.payload}, ensure_ascii=False).encode()
        deadline = time.monotonic() + ACCEPT_SECONDS
        while True:
            now = datetime.now(UTC)  # noqa: TID251  # another system's clock
            headers = {
                "webhook-id": event.event_id,
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": Webhook(secret).sign(event.event_id, now, body.decode()),
                "content-type": "application/json",
            }
            try:
                answer = client.post(self.line.url("gateway") + path, content=body, headers=headers)
                if answer.status_code in {200, 202}:
                    return
                assert answer.status_code in {429, 500, 502, 503, 504}, f"{event.event_id}: {answer.status_code} {answer.text}"
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, f"{event.event_id} was never accepted"
            time.sleep(0.2)

    def work_reviews(self) -> int:
        """Claim and submit until nobody finds anything in the queue; returns how many were submitted now."""
        return sum(self._work_as(person) for person in (*PEOPLE, PEOPLE[0]))

    def _work_as(self, person: str) -> int:
        done = 0
        while reviews := self.ask("ops", "POST", "/v1/reviews/claim-next", json={"reviewer": person, "limit": 25}):
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda review: self._submit(person, review), reviews))
            done += len(reviews)
        return done

    def _submit(self, person: str, review: dict[str, Any]) -> None:
        outcome, reasons = answer(review["automation"], review["reasons"], review["proposal"])
        body = {"reviewer": person, "outcome": outcome, "reasons": reasons, "active_seconds": 0.01}
        self.ask("ops", "POST", f"/v1/reviews/{review['id']}/submit", json=body)


def answer(automation: str, reasons: Sequence[str] = (), proposal: Mapping[str, Any] | None = None) -> tuple[str, list[str]]:
    """What this company's people say: they follow the machine where it saw a duplicate, take the first of two answers in the alphabet where
    these differ, and otherwise the first benign outcome.
    """
    if "duplicate" in reasons:
        return "reject", ["duplicate"]
    if "disagreement" in reasons and proposal is not None:
        return min(proposal["answers"]), []
    outcomes = automations()[automation].outcomes
    return next(name for name, outcome in sorted(outcomes.items()) if outcome.choosable and not outcome.adverse), []


@contextmanager
def company(line: ReadyLine) -> Iterator[Company]:
    """A new tenant with a source for each automation and an endpoint of its own."""
    tenant = f"company-{uuid4().hex[:8]}"
    line.recoup("keys", "tenant", "create", tenant, "--name", "Company", "--currency", "EUR")
    token = json.loads(line.recoup("keys", "create", "--tenant", tenant, "--role", "admin", "--name", "test", "--json"))["token"]
    receiver = Receiver()
    with receiving(receiver) as url:
        found = Company(line, tenant, token, receiver)
        receiver.secret = found.ask("ops", "POST", "/v1/endpoints", json={"url": url})["secret"]
        for name, automation in automations().items():
            body = {"name": name, "event_type": automation.event_type, "mapping": {"id": "id", "data": "data"}}
            source = found.ask("ops", "POST", "/v1/sources", json=body)
            found.sources[name] = (source["webhook_path"], source["secret"])
            found.ask("ops", "PATCH", f"/v1/automations/{name}", json={"audit_share": AUDIT_SHARE})
        body = {"name": "late", "event_type": "com.recoup.case.outcome.v1", "mapping": {"id": "id", "data": "data"}}
        source = found.ask("ops", "POST", "/v1/sources", json=body)
        found.sources["late"] = (source["webhook_path"], source["secret"])
        rate = {
            "name": "loss_per_error",
            "value": LOSS_PER_ERROR,
            "currency": "EUR",
            "source": "test",
            "valid_from": "2026-01-01T00:00:00Z",
        }
        found.ask("ops", "POST", "/v1/rates", json=rate)
        yield found
