"""Figures for executives, over HTTP, from a real database."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance
from sqlalchemy import Engine
from sqlalchemy.event import listen, remove
from starlette.testclient import TestClient

from services.roi.main import build
from services.roi.period import Bucket
from services.roi.service import Roi
from shared.clock import SystemClock
from shared.db import unit_of_work
from shared.ledger import posting
from shared.ledger import repository as ledger
from shared.money import Money, currency
from tests.horizon import roll_up
from tests.integration.facts import Subject, add_key, add_tenant, decide, engine_of, hours_ago, receive
from tests.roi_world import of_thirty_days

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

    from tests.conftest import Database


@pytest.fixture
def line(database: Database) -> Iterator[Engine]:
    with engine_of(database) as engine:
        with unit_of_work(engine) as connection:
            add_tenant(connection)
            add_tenant(connection, "other")
        yield engine


@pytest.fixture
def application(database: Database, line: Engine) -> Iterator[FastAPI]:
    with engine_of(database, "recoup_api") as engine:
        yield build(Roi(engine, SystemClock()), engine, SystemClock(), threads=4)


@pytest.fixture
def client(application: FastAPI, line: Engine) -> Iterator[TestClient]:
    token = add_key(line, "acme", "executive")
    with TestClient(application, headers={"Authorization": f"Bearer {token}"}) as client:
        yield client


def work(line: Engine, n: int = 300, *, seconds: str = "100", hours: float = 1, tenant: str = "acme") -> None:
    """``n`` cases with half a minute of scatter in their manual time, three of four by a tier."""
    with unit_of_work(line) as connection:
        cases = receive(connection, n, at=hours_ago(hours), tenant=tenant)
        for number in range(4):
            tier = "human" if number == 3 else "nano"
            decide(connection, cases[number::4], seconds=str(Decimal(seconds) + 10 * number - 15), tier=tier, at=hours_ago(hours))


def book(line: Engine, kind: str, amount: str, code: str) -> None:
    with unit_of_work(line) as connection:
        case = next(c for c in receive(connection, 50) if c.arm == "automated")
        subject = Subject(case.id, case.tenant, case.automation, case.arm, "s")
        assert kind == "cash"
        ledger.post(connection, [posting.for_cash(subject, Money(Decimal(amount), currency(code)), at=hours_ago(0))])


def rate(line: Engine, name: str, value: str, code: str | None) -> None:
    with unit_of_work(line) as connection:
        connection.exec_driver_sql(
            "INSERT INTO rates (id, tenant_id, name, value, currency, valid_from, source)"
            " VALUES (gen_random_uuid(), 'acme', %(name)s, %(value)s, %(code)s, now() - interval '1 day', 'test')",
            {"name": name, "value": value, "code": code},
        )


def baseline(line: Engine, grade: str, *, expires: str) -> None:
    with unit_of_work(line) as connection:
        connection.exec_driver_sql(
            "INSERT INTO baselines (id, tenant_id, automation, grade, mean_seconds, variance_seconds2, n, method, valid_from, expires_at)"
            " VALUES (gen_random_uuid(), 'acme', 'claims', %(grade)s, 100, 400, 50, 'test', now() - interval '90 days',"
            " now() + %(expires)s::interval)",
            {"grade": grade, "expires": expires},
        )


def figures(client: TestClient, line: Engine, path: str, **parameters: Any) -> Any:
    """An answer about everything that is committed now."""
    roll_up(line)
    answer = client.get(f"/v1/roi/{path}", params=of_thirty_days(path, parameters))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_headline_is_the_lower_bound_of_what_control_cases_measured(client: TestClient, line: Engine) -> None:
    work(line)
    found = figures(client, line, "summary")["total"]
    saved, cases = found["saved"], found["cases"]
    assert cases["total"] == 300
    assert cases["automated"] + cases["human"] + cases["control"] == 300
    assert saved["grade"] == "A"
    assert saved["at_least_hours"] == saved["always_valid"]["low"]
    assert Decimal(saved["hours"]["low"]) < Decimal(saved["hours"]["point"]) < Decimal(saved["hours"]["high"])
    automated = cases["automated"] + cases["human"]
    # Manual time is about 100 s a case, and only the cases that a person decided cost time.
    assert float(saved["seconds"]["point"]) == pytest.approx(100 * automated - 115 * cases["human"], rel=0.1)


def test_costs_stand_beside_hours_and_cash(client: TestClient, line: Engine) -> None:
    work(line)
    book(line, "cash", "250.00", "EUR")
    rate(line, "labour_hour", "40", "EUR")
    found = figures(client, line, "summary")["total"]
    cases, money = found["cases"], found["money"]
    automated = cases["automated"] + cases["human"]
    # A millisecond of CPU a case, at 0.36 an hour.
    assert Decimal(money["compute_cost"]) == pytest.approx(automated * Decimal("0.0000001"), abs=Decimal("1e-6"))
    assert Decimal(money["cost_per_event"]) == pytest.approx(Decimal("0.0000001"), abs=Decimal("1e-8"))
    assert money["cash"] == "250.000000"
    assert float(money["labour_value"]["point"]) == pytest.approx(float(found["saved"]["hours"]["point"]) * 40, abs=0.1)
    assert [used["name"] for used in found["rates"]] == ["labour_hour"]


def test_money_without_a_dated_rate_is_shown_and_never_added(client: TestClient, line: Engine) -> None:
    book(line, "cash", "250.00", "EUR")
    book(line, "cash", "100.00", "USD")
    money = figures(client, line, "summary")["total"]["money"]
    assert money["cash"] == "250.000000"
    assert money["unconverted"] == [{"kind": "cash", "currency": "USD", "amount": "100.000000"}]
    rate(line, "fx:EUR:USD", "1.25", None)
    money = figures(client, line, "summary")["total"]["money"]
    assert (money["cash"], money["unconverted"]) == ("330.000000", [])
    assert figures(client, line, "summary", currency="USD")["total"]["money"]["cash"] == "412.500000"


def test_without_control_and_baseline_nothing_is_claimed(client: TestClient, line: Engine) -> None:
    work(line, 20)
    saved = figures(client, line, "summary")["total"]["saved"]
    assert saved["hours"] == {"low": None, "point": None, "high": None}
    assert saved["at_least_hours"] == "0.000"
    assert saved["note"].startswith("no baseline")


def test_a_stored_baseline_counts_until_it_expires(client: TestClient, line: Engine) -> None:
    work(line, 20)
    baseline(line, "B", expires="1 day")
    assert figures(client, line, "summary")["total"]["saved"]["grade"] == "B"
    baseline(line, "B", expires="-1 second")
    saved = figures(client, line, "summary")["total"]["saved"]
    assert (saved["grade"], saved["hours"]["low"]) == ("D", None)
    assert saved["hours"]["point"] is not None
    assert "expired" in saved["note"]


def test_min_grade_keeps_weak_evidence_out(client: TestClient, line: Engine) -> None:
    work(line, 20)
    baseline(line, "D", expires="1 day")
    assert figures(client, line, "summary")["by_grade"][0]["grade"] == "D"
    answer = figures(client, line, "summary", min_grade="C")
    assert answer["by_grade"] == []
    assert answer["total"]["saved"]["hours"]["point"] is None
    assert answer["total"]["cases"]["total"] == 20


def test_what_rests_on_weak_evidence_in_one_stratum_is_in_no_part_of_an_answer(client: TestClient, line: Engine) -> None:
    for stratum, grade, automation in (("x", "B", "claims"), ("y", "D", "claims"), ("x", "B", "invoices")):
        with unit_of_work(line) as connection:
            connection.exec_driver_sql(
                "INSERT INTO baselines (id, tenant_id, automation, stratum, grade, mean_seconds, variance_seconds2, n, method, valid_from,"
                " expires_at) VALUES (gen_random_uuid(), 'acme', %(automation)s, %(stratum)s, %(grade)s, 100, 400, 50, 'test',"
                " now() - interval '90 days', now() + interval '90 days')",
                {"automation": automation, "stratum": stratum, "grade": grade},
            )
            cases = [case for case in receive(connection, 40, at=hours_ago(30), automation=automation) if case.arm == "automated"]
            decide(connection, cases, at=hours_ago(30), stratum=stratum)
    summary = figures(client, line, "summary", min_grade="B")
    saved = {row["automation"]: row["saved"]["seconds"]["point"] for row in summary["automations"]}
    assert (saved["claims"], summary["automations"][0]["saved"]["note"]) == (None, "evidence of grade D is below min_grade B")
    for by in ("automation", "stratum", "source"):
        parts = {part["key"]: part["seconds_saved"] for part in figures(client, line, "breakdown", by=by, min_grade="B")["parts"]}
        assert {value for value in parts.values() if value is not None} == {saved["invoices"]}, by
        assert parts.get("claims") is parts.get("y") is None
    total, claims, invoices = figures(client, line, "timeseries", bucket="day", min_grade="B")["series"]
    assert {value for point in claims["points"] for value in point["seconds"].values()} == {None}
    assert [point["seconds"] for point in total["points"]] == [point["seconds"] for point in invoices["points"]]
    # Without that demand both strata are there.
    parts = figures(client, line, "breakdown", by="stratum")["parts"]
    assert all(part["seconds_saved"] is not None for part in parts)


def test_parts_of_a_period_add_up_to_it(client: TestClient, line: Engine) -> None:
    for hours in (1, 30, 60):
        work(line, 200, hours=hours)
    whole = figures(client, line, "summary")["total"]
    for bucket in ("hour", "day", "week"):
        total = figures(client, line, "timeseries", bucket=bucket)["series"][0]["points"]
        assert sum(point["cases"]["total"] for point in total) == 600
        assert sum(float(point["seconds"]["point"]) for point in total) == pytest.approx(float(whole["saved"]["seconds"]["point"]), abs=1)
    for by in ("automation", "stratum", "arm", "tier"):
        assert sum(part["cases"] for part in figures(client, line, "breakdown", by=by)["parts"]) == 600
    for by in ("automation", "stratum", "grade"):
        parts = figures(client, line, "breakdown", by=by)["parts"]
        assert sum(float(part["seconds_saved"] or 0) for part in parts) == pytest.approx(float(whole["saved"]["seconds"]["point"]), abs=1)


def test_a_period_outside_the_facts_is_empty(client: TestClient, line: Engine) -> None:
    work(line, 100)
    found = figures(client, line, "summary", to=hours_ago(48).isoformat())
    assert (found["total"]["cases"]["total"], found["automations"]) == (0, [])


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


def test_every_record_is_somewhere_before_and_after_it_is_rolled_up(client: TestClient, line: Engine) -> None:
    with unit_of_work(line) as connection:
        cases = receive(connection, 40, repeated=4)
        decide(connection, cases[:20])
        decide(connection, cases[20:25], tier="human")
        connection.exec_driver_sql("UPDATE cases SET state = 'review' WHERE id = %(id)s", {"id": cases[30].id})
        connection.exec_driver_sql("UPDATE cases SET state = 'quarantined' WHERE id = %(id)s", {"id": cases[31].id})
    balances = []
    for _ in range(2):
        answer = client.get("/v1/roi/conservation").json()
        assert answer["holds"]
        balances.append(answer["hours"])
        roll_up(line)
    assert balances[0] == balances[1]
    (balance,) = balances[0]
    assert balance["received"] == 44
    assert (balance["duplicate"], balance["in_flight"], balance["dead_letter"], balance["review"]) == (4, 14, 1, 1)
    assert balance["automated"] + balance["human"] + balance["control"] == 25


def test_a_lost_case_shows_as_a_difference(client: TestClient, line: Engine) -> None:
    with unit_of_work(line) as connection:
        cases = receive(connection, 3)
        connection.exec_driver_sql("UPDATE cases SET state = 'decided' WHERE id = %(id)s", {"id": cases[0].id})
    answer = client.get("/v1/roi/conservation").json()
    assert (answer["holds"], answer["hours"][0]["difference"]) == (False, 1)


def test_the_ledger_is_paged_without_gaps_and_filtered(client: TestClient, line: Engine) -> None:
    work(line, 30)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = client.get("/v1/roi/ledger", params={"limit": 7} | ({} if cursor is None else {"cursor": cursor})).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    with unit_of_work(line) as connection:
        ids = connection.exec_driver_sql("SELECT id::text FROM ledger_lines").scalars().all()
    assert sorted(seen) == sorted(ids)
    compute = client.get("/v1/roi/ledger", params={"kind": "compute", "automation": "claims"}).json()["items"]
    assert {item["kind"] for item in compute} == {"compute"}
    one = client.get("/v1/roi/ledger", params={"case_id": compute[0]["case_id"]}).json()["items"]
    assert {item["case_id"] for item in one} == {compute[0]["case_id"]}


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
    needed = {"payback": {"investment": "1"}, "whatif": {"automation": "claims"}}.get(path, {})
    for moment in ("2000-01-01T00:00:00Z", "2000-01-01T19:40:11Z", "2000-03-01T05:00:00Z"):
        answer = client.get(f"/v1/roi/{path}", params=needed | {"as_of": moment})
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
