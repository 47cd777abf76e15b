"""What every HTTP API shares: problems, limits, traces, metrics, health, pages."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from fastapi import Body
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from pydantic import BaseModel, ConfigDict
from structlog.testing import capture_logs

from shared import errors
from shared.clock import SystemClock
from shared.db.unit_of_work import DatabaseUnavailable
from shared.errors import Malformed, RecoupError, Rejected, Retryable
from shared.telemetry import trace
from shared.telemetry.logs import _add_trace_id
from shared.web import problem
from shared.web.app import create_app
from shared.web.pagination import Cursor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

LIMIT = 1000
HEADER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Claim(BaseModel):
    model_config = ConfigDict(extra="forbid")

    amount: int


def _kinds(kind: type[RecoupError]) -> Iterator[type[RecoupError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _kinds(child)


KINDS = {kind.__name__: kind for kind in _kinds(RecoupError) if kind.__module__ == errors.__name__}


def _app(ready: Mapping[str, bool] | None = None) -> FastAPI:
    app = create_app(title="Test", service="test", clock=SystemClock(), readiness=lambda: ready or {"database": True}, body_limit=LIMIT)

    @app.get("/fail/{kind}")
    def fail(kind: str) -> None:
        raise KINDS[kind](where="here")

    @app.get("/outage")
    def outage() -> None:
        raise DatabaseUnavailable(cause="OperationalError")

    @app.get("/clash")
    def clash() -> None:
        raise Rejected(
            "why", status=1, code="x", detail="y", title="z", type="t", errors=[{"field": "a"}], when=datetime(2026, 1, 1, tzinfo=UTC)
        )

    @app.get("/crash/{value}")
    def crash(value: str) -> None:
        raise RuntimeError(value)

    @app.post("/claims/{claim_id}")
    def claim(claim_id: int, body: Claim) -> dict[str, Any]:
        return {"id": claim_id, "amount": body.amount, "trace": trace.current.get()}

    @app.post("/length")
    def length(body: bytes = Body(media_type="application/octet-stream")) -> int:
        return len(body)

    return app


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(_app(), raise_server_exceptions=False) as found:
        yield found


def _is_problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert {"type", "title", "code", "detail"} <= set(found)
    return found


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if issubclass(kind, Rejected | Retryable)])
def test_every_error_for_the_caller_is_a_problem_with_its_status_and_code(client: TestClient, kind: str) -> None:
    found = _is_problem(client.get(f"/fail/{kind}"), KINDS[kind].status)
    assert found["code"] == KINDS[kind].code
    assert found["detail"] == KINDS[kind]().message
    assert found["where"] == "here"


@pytest.mark.parametrize("kind", ["RecoupError", "InvariantBroken"])
def test_what_broke_inside_stays_inside(client: TestClient, kind: str) -> None:
    found = _is_problem(client.get(f"/fail/{kind}"), 500)
    assert found["code"] == "internal"
    assert "where" not in found


def test_a_database_outage_is_answered_with_503_and_when_to_come_back(client: TestClient) -> None:
    answer = client.get("/outage")
    assert _is_problem(answer, 503)["code"] == "database_unavailable"
    assert int(answer.headers["retry-after"]) >= 1


def test_context_does_not_replace_the_members_of_a_problem(client: TestClient) -> None:
    found = _is_problem(client.get("/clash"), 422)
    assert (found["code"], found["detail"], found["type"]) == ("rejected", "why", "about:blank")
    assert found["errors"] == [{"field": "a"}]
    assert found["when"].startswith("2026-01-01")


def test_an_error_nobody_expected_tells_nothing_but_keeps_its_trace(client: TestClient) -> None:
    with capture_logs(processors=[_add_trace_id]) as lines:
        answer = client.get("/crash/canary-4711", headers={"traceparent": HEADER})
    assert _is_problem(answer, 500)["code"] == "internal"
    assert "canary" not in answer.text
    assert [(line["event"], line["trace_id"]) for line in lines] == [("request_failed", trace.trace_id(HEADER))]


def test_a_missing_route_and_a_wrong_method_are_problems(client: TestClient) -> None:
    assert _is_problem(client.get("/nowhere"), 404)["code"] == "not_found"
    answer = client.delete("/claims/1")
    assert _is_problem(answer, 405)["code"] == "method_not_allowed"
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "body", [b'{"amount": "canary-4711"}', b'{"amount": canary-4711', b'{"amount": 1, "more": "canary-4711"}', b"", b"[]"]
)
def test_a_body_that_does_not_fit_is_told_where_without_being_repeated(client: TestClient, body: bytes) -> None:
    answer = client.post("/claims/1", content=body, headers={"content-type": "application/json"})
    found = _is_problem(answer, 422)
    assert found["errors"][0]["field"].startswith("body")
    assert found["errors"][0]["problem"]
    assert "canary" not in answer.text


def test_a_made_up_field_name_does_not_break_the_answer(client: TestClient) -> None:
    answer = client.post("/claims/1", content=rb'{"amount": 1, "\ud800": 2}', headers={"content-type": "application/json"})
    assert _is_problem(answer, 422)["errors"]


def test_a_401_names_the_scheme() -> None:
    assert problem.of(errors.Unauthenticated()).headers["www-authenticate"] == "Bearer"


def test_every_status_of_a_problem_is_documented() -> None:
    statuses = {kind.status for kind in KINDS.values()} - {500}
    assert statuses <= set(problem.PROBLEMS)


def test_the_document_contains_the_schema_of_problems(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert "Problem" in document["components"]["schemas"]
    assert set(document["paths"]) & {"/healthz", "/readyz", "/metrics"} == set()


class Conversation:
    """One request told chunk by chunk, as a server tells it."""

    def __init__(self, chunks: list[bytes], *, ends: bool = True, headers: Mapping[str, str] | None = None) -> None:
        self._messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        self._messages.append({"type": "http.request", "body": b"", "more_body": False} if ends else {"type": "http.disconnect"})
        self.headers = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        self.read = 0
        self.sent: list[Any] = []

    async def receive(self) -> dict[str, Any]:
        self.read += 1
        return self._messages[self.read - 1]

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    def run(self, path: str = "/length") -> tuple[int, Any]:
        """Status and answer."""
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"content-type", b"application/octet-stream"), *self.headers],
        }
        asyncio.run(_app()(scope, self.receive, self.send))
        body = b"".join(message.get("body", b"") for message in self.sent)
        return self.sent[0]["status"], json.loads(body)


def test_a_body_in_chunks_arrives_whole_up_to_the_limit() -> None:
    assert Conversation([b"x" * 100] * 10).run() == (200, LIMIT)


def test_a_body_that_grows_past_the_limit_is_refused_and_the_rest_not_read() -> None:
    conversation = Conversation([b"x" * 100] * 10_000)
    status, found = conversation.run()
    assert (status, found["code"]) == (413, "too_large")
    assert conversation.read == 11


def test_a_declared_length_past_the_limit_is_refused_unread() -> None:
    conversation = Conversation([b"x"], headers={"content-length": str(LIMIT + 1)})
    assert conversation.run()[0] == 413
    assert conversation.read == 0


def test_a_length_that_lies_does_not_help() -> None:
    assert Conversation([b"x" * 100] * 100, headers={"content-length": "5"}).run()[0] == 413


def test_half_a_body_is_never_taken_for_a_whole_one() -> None:
    """`12` of `12345` is valid JSON."""
    status, found = Conversation([b"12"], ends=False).run()
    assert (status, found["code"]) == (422, "malformed")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "GZIP", "gzip, identity"])
def test_a_compressed_body_is_refused_unread(encoding: str) -> None:
    conversation = Conversation([b"x"], headers={"content-encoding": encoding})
    assert conversation.run()[0] == 415
    assert conversation.read == 0


def test_identity_is_no_compression() -> None:
    assert Conversation([b"x"], headers={"content-encoding": "Identity"}).run() == (200, 1)


def test_a_trace_is_continued_inside_and_told_outside(client: TestClient) -> None:
    answer = client.post("/claims/1", json={"amount": 1}, headers={"traceparent": HEADER})
    told = answer.headers["traceparent"]
    assert answer.json()["trace"] == told
    assert trace.trace_id(told) == trace.trace_id(HEADER)
    assert told != HEADER
    assert trace.current.get() is None


@pytest.mark.parametrize("header", ["garbage", "00-" + "0" * 32 + "-" + "0" * 16 + "-00", "é"])
def test_a_malformed_trace_is_replaced(client: TestClient, header: str) -> None:
    told = client.get("/healthz", headers={b"traceparent": header.encode()}).headers["traceparent"]
    assert trace.is_valid(told)


def _counted(method: str, route: str, status: str) -> float:
    labels = {"service": "test", "method": method, "route": route, "status": status}
    return REGISTRY.get_sample_value("recoup_http_seconds_count", labels) or 0.0


def test_requests_are_counted_by_route_template(client: TestClient) -> None:
    before = _counted("POST", "/claims/{claim_id}", "200")
    for number in range(3):
        client.post(f"/claims/{number}", json={"amount": 1})
    assert _counted("POST", "/claims/{claim_id}", "200") == before + 3


def test_what_a_client_makes_up_is_no_label(client: TestClient) -> None:
    before = _counted("GET", "unmatched", "404"), _counted("other", "unmatched", "404")
    client.get(f"/{uuid4()}")
    client.request(f"X{uuid4().hex}", "/nowhere")
    assert (_counted("GET", "unmatched", "404"), _counted("other", "unmatched", "404")) == (before[0] + 1, before[1] + 1)


def test_a_crash_is_counted_as_500(client: TestClient) -> None:
    before = _counted("GET", "/crash/{value}", "500")
    client.get("/crash/1")
    assert _counted("GET", "/crash/{value}", "500") == before + 1


def test_answers_are_not_to_be_stored(client: TestClient) -> None:
    answer = client.get("/healthz")
    assert (answer.text, answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("alive\n", "no-store", "nosniff")


@pytest.mark.parametrize(("parts", "status"), [({"a": True}, 200), ({"a": True, "b": False}, 503)])
def test_readiness_names_its_parts(parts: dict[str, bool], status: int) -> None:
    with TestClient(_app(parts)) as client:
        answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (status, parts)


def test_metrics_are_what_prometheus_reads(client: TestClient) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "recoup_http_seconds_bucket" in answer.text


INSTANTS = st.datetimes(
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5))]),
    min_value=datetime(1970, 1, 2),  # noqa: DTZ001  # hypothesis wants its bounds naive
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001  # as above
)


@given(INSTANTS, st.uuids())
def test_a_cursor_comes_back_as_it_was(at: datetime, identity: UUID) -> None:
    assert Cursor.decode(Cursor(at, identity).encode()) == Cursor(at, identity)


@given(INSTANTS, INSTANTS, st.uuids())
def test_a_cursor_remembers_the_period_of_its_pages(at: datetime, start: datetime, identity: UUID) -> None:
    cursor = Cursor(at, identity, (start, at))
    assert Cursor.decode(cursor.encode()) == cursor
    assert len(cursor.encode()) <= 200


def test_no_cursor_is_the_first_page() -> None:
    assert Cursor.decode(None) is None


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode()


GARBAGE = st.one_of(
    st.text(),
    st.text().map(_encoded),
    st.builds(lambda at, identity: _encoded(f"{at}|{identity}"), st.text(), st.one_of(st.text(), st.uuids().map(str))),
    st.builds(lambda at, identity: _encoded(f"{at.isoformat()}|{identity}"), st.datetimes(), st.uuids()),
    st.builds(lambda at, identity: _encoded(f"{at.isoformat()}|{identity}|{at.isoformat()}"), INSTANTS, st.uuids()),
)


@given(GARBAGE)
def test_a_cursor_that_is_none_of_ours_is_malformed_and_nothing_else(garbage: str) -> None:
    with pytest.raises(Malformed):
        Cursor.decode(garbage)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01T00:00:00", "2026-01-01"])
def test_an_instant_that_is_not_utc_is_none_of_ours(at: str) -> None:
    with pytest.raises(Malformed):
        Cursor.decode(_encoded(f"{at}|{uuid4()}"))
