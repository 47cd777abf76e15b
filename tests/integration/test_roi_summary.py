"""What was saved and what it cost, as a whole and in parts, from a real database."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from shared.db import unit_of_work
from tests.integration.facts import decide, hours_ago, receive
from tests.roi_line import baseline, book, figures, rate, work
from tests.roi_world import Board


@pytest.fixture
def line(board: Board) -> Engine:
    return board.line


@pytest.fixture
def client(board: Board) -> TestClient:
    return board.client


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
