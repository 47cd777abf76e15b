"""Who may ask what, and how a question is refused or answered whatever it is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance
from sqlalchemy import Engine
from sqlalchemy.event import listen, remove
from starlette.testclient import TestClient

from services.roi.period import Bucket
from shared.db import unit_of_work
from tests.horizon import roll_up
from tests.integration.facts import add_key, hours_ago
from tests.roi_line import work
from tests.roi_world import Board


@pytest.fixture
def line(board: Board) -> Engine:
    return board.line


@pytest.fixture
def application(board: Board) -> FastAPI:
    return board.application


@pytest.fixture
def client(board: Board) -> TestClient:
    return board.client


@pytest.mark.parametrize(
    "parameters",
    [
        {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"from": "2026-01-02T00:00:00"},
        {"from": "0001-01-01T00:00:00Z"},
        {"to": "9999-12-31T23:59:59Z"},
        {"from": "2020-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"currency": "euro"},
        {"min_grade": "Z"},
    ],
)
def test_a_question_that_makes_no_sense_is_refused_with_the_reason(client: TestClient, parameters: dict[str, str]) -> None:
    answer = client.get("/v1/roi/summary", params=parameters)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_nobody_sees_the_figures_of_another_tenant(application: FastAPI, line: Engine) -> None:
    work(line, 40)
    roll_up(line)
    token = add_key(line, "other", "executive")
    with TestClient(application, headers={"Authorization": f"Bearer {token}"}) as client:
        assert client.get("/v1/roi/summary").json()["total"]["cases"]["total"] == 0
        assert client.get("/v1/roi/conservation").json()["hours"] == []
        assert client.get("/v1/roi/ledger").json()["items"] == []


@pytest.mark.parametrize(("role", "status"), [("executive", 200), ("operator", 200), ("admin", 200), ("integrator", 403)])
def test_executives_operators_and_admins_may_ask(application: FastAPI, line: Engine, role: str, status: int) -> None:
    token = add_key(line, "acme", role)
    with TestClient(application) as client:
        assert client.get("/v1/roi/summary", headers={"Authorization": f"Bearer {token}"}).status_code == status
        assert client.get("/v1/roi/summary").status_code == 401


def test_no_answer_scans_the_ledger_or_the_cases(client: TestClient, line: Engine) -> None:
    """Conservation may read the open cases by their own index and the facts after the horizon by theirs; the rest is in roll-ups."""
    for hours in range(20):
        work(line, 400, hours=hours)
    roll_up(line)
    with unit_of_work(line) as connection:
        connection.exec_driver_sql("UPDATE cases SET state = 'decided'")
    plans = _plans(client, line, {})
    assert "ledger_lines" not in "".join(plans)
    for plan in [*plans, *_plans(client, line, {"as_of": hours_ago(3).isoformat()})]:
        for table in ("cases", "decisions", "intake_batches", "ledger_lines"):
            assert f"Seq Scan on {table}" not in plan, plan


def _plans(client: TestClient, line: Engine, parameters: dict[str, str]) -> list[str]:
    """How PostgreSQL would answer every statement that the figures' endpoints send."""
    sent: list[tuple[str, Any]] = []

    def remember(*event: Any) -> None:
        sent.append((event[2], event[3]))

    listen(Engine, "before_cursor_execute", remember)
    for path in ("summary", "timeseries", "breakdown", "conservation"):
        assert client.get(f"/v1/roi/{path}", params=parameters).status_code == 200
    remove(Engine, "before_cursor_execute", remember)
    with unit_of_work(line) as connection:
        return [
            "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", values).scalars())
            for statement, values in sent
            if statement.startswith("SELECT") and "set_config" not in statement
        ]


_NEEDED = {"payback": {"investment": "1"}, "whatif": {"automation": "claims"}, "bridge": {"earlier": "2000-01-02T00:00:00Z"}} | {
    "planner": {"automation": "claims", "cases_per_day": "1", "manual_seconds": "1", "deviation_seconds": "1"}
}


_ANSWERS = (
    *("summary", "timeseries", "breakdown", "conservation", "evidence", "bridge", "footprint", "ledger", "ledger/seals", "board.pdf"),
    *("planner", "capacity", "forecast", "payback", "whatif", "exports/summary", "exports/timeseries", "exports/breakdown"),
)


def test_an_answer_is_of_one_snapshot(client: TestClient) -> None:
    begun: list[str] = []

    def remember(*event: Any) -> None:
        if "set_config" in event[2] and "acme" in str(event[3]):
            begun.append(str(event[3]))

    listen(Engine, "before_cursor_execute", remember)
    for path in _ANSWERS:
        # Remembers the key, which is looked up in a transaction of its own.
        client.get("/v1/roi/ledger/seals")
        begun.clear()
        answer = client.get(f"/v1/roi/{path}", params=_NEEDED.get(path, {}))
        assert (path, answer.status_code, begun) == (path, 200, begun[:1]), answer.text
    remove(Engine, "before_cursor_execute", remember)


@pytest.mark.parametrize("path", ["summary", "timeseries", "breakdown", "conservation", "evidence", "bridge"])
def test_before_anything_was_booked_nothing_was_known(client: TestClient, line: Engine, path: str) -> None:
    work(line, 20)
    roll_up(line)
    moment = {"earlier" if path == "bridge" else "as_of": "2000-01-01T19:40:11Z"}
    answer = client.get(f"/v1/roi/{path}", params=moment)
    assert answer.status_code == 200, answer.text
    if path == "summary":
        assert answer.json()["total"]["cases"]["total"] == 0


@pytest.mark.parametrize("path", ["forecast", "payback", "capacity", "whatif", "footprint"])
def test_the_first_moments_that_may_be_asked_about_are_answered(client: TestClient, path: str) -> None:
    for moment in ("2000-01-01T00:00:00Z", "2000-01-01T19:40:11Z", "2000-03-01T05:00:00Z"):
        answer = client.get(f"/v1/roi/{path}", params=_NEEDED.get(path, {}) | {"as_of": moment})
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("path", ["summary", "bridge", "evidence", "forecast", "payback", "capacity", "whatif", "footprint"])
@pytest.mark.parametrize("parameter", ["from", "to", "as_of", "earlier"])
def test_a_moment_that_no_calendar_has_room_around_is_refused(client: TestClient, path: str, parameter: str) -> None:
    taken = {found["name"] for found in client.get("/openapi.json").json()["paths"][f"/v1/roi/{path}"]["get"]["parameters"]}
    for moment in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        answer = client.get(f"/v1/roi/{path}", params={parameter: moment})
        assert answer.status_code == 422 or parameter not in taken, answer.text
        assert ("between the years 2000 and 2199" in answer.text) == (parameter in taken)


# A request that fails is as telling as it was drawn: shrinking it takes five minutes.
_FOUND = (Phase.explicit, Phase.generate)


def test_generated_requests_never_break_the_server(application: FastAPI, line: Engine) -> None:
    work(line, 50)
    roll_up(line)
    token = add_key(line, "acme", "executive")
    schema = schemathesis.openapi.from_asgi("/openapi.json", application)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == 22
    for operation in operations:
        for mode in GenerationMode:
            _ask(operation, mode, token)


def _ask(operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, token: str) -> None:
    checks = [not_a_server_error, response_schema_conformance, content_type_conformance]

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None, phases=_FOUND)
    @given(case=operation.as_strategy(mode))
    def asked(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=checks)

    asked()


def test_without_a_period_figures_begin_with_the_quarter_and_hours_and_what_comes_with_the_last_weeks(client: TestClient) -> None:
    now = hours_ago(0)
    quarter = now.replace(month=now.month - (now.month - 1) % 3, day=1, hour=0, minute=0, second=0, microsecond=0)
    recent = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1) - timedelta(days=30)
    for path in ("summary", "timeseries", "breakdown", "evidence"):
        assert datetime.fromisoformat(client.get(f"/v1/roi/{path}").json()["from"]) == quarter, path
    for path, asked in (("timeseries", {"bucket": "hour"}), ("capacity", {})):
        answer = client.get(f"/v1/roi/{path}", params=asked)
        # The hour may have changed meanwhile.
        assert datetime.fromisoformat(answer.json()["from"]) - recent in {timedelta(0), timedelta(hours=1)}, path
    days = client.get("/v1/roi/whatif", params={"automation": "claims"}).json()
    # Whole days; the hour may have changed meanwhile.
    assert datetime.fromisoformat(days["from"]) in {Bucket.DAY.start(recent), Bucket.DAY.start(recent + timedelta(hours=1))}
