"""The list of late outcomes: found by case and automation, whichever name they gave, page by page."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from services.steward import outcomes
from tests.integration.facts import engine_of
from tests.ops_desk import Desk, open_desk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    with open_desk(database) as desk:
        yield desk


def _ids(desk: Desk, query: str = "") -> list[str]:
    return [one["id"] for one in desk.get(f"/v1/outcomes{query}")["items"]]


def test_an_outcome_is_shown_from_its_arrival_until_the_ledger_follows_it(desk: Desk, database: Database) -> None:
    case = desk.case(state="decided")
    desk.decision(case)
    outcome = desk.outcome(case, "confirmed_wrong", loss="80")
    (waiting,) = desk.get("/v1/outcomes")["items"]
    assert (waiting["id"], waiting["case_id"], waiting["automation"], waiting["state"]) == (str(outcome), str(case), "claims", "waiting")
    assert (waiting["result"], waiting["currency"]) == ("confirmed_wrong", "EUR")
    assert Decimal(waiting["loss"]) == 80
    assert (waiting["lines"], waiting["settled_at"]) == (None, None)
    with engine_of(database) as line:
        assert outcomes.apply_outcomes(line, timedelta(days=30)) == 1
    (applied,) = desk.get("/v1/outcomes?state=applied")["items"]
    assert (applied["lines"], applied["settled_at"] is not None) == (1, True)
    assert _ids(desk, "?state=waiting") == []


def test_outcomes_are_found_by_case_automation_and_result_whichever_name_they_gave(desk: Desk) -> None:
    claim, invoice = desk.case(), desk.case(automation="invoices")
    by_id, by_event = desk.outcome(claim), desk.outcome(str(claim), "appealed")
    other, lost = desk.outcome(invoice, "appealed"), desk.outcome("an event that never came")
    assert set(_ids(desk)) == {str(one) for one in (by_id, by_event, other, lost)}
    assert set(_ids(desk, f"?case_id={claim}")) == set(_ids(desk, "?automation=claims")) == {str(by_id), str(by_event)}
    assert set(_ids(desk, "?result=appealed")) == {str(by_event), str(other)}
    assert _ids(desk, "?result=appealed&automation=invoices") == [str(other)]
    (unmatched,) = [one for one in desk.get("/v1/outcomes")["items"] if one["id"] == str(lost)]
    assert (unmatched["case_id"], unmatched["automation"], unmatched["named_event_id"]) == (None, None, "an event that never came")
    assert desk.call("GET", "/v1/outcomes?result=lost").status_code == 422


def test_pages_hold_every_outcome_once_the_latest_first(desk: Desk) -> None:
    case = desk.case()
    expected = [str(desk.outcome(case, age=timedelta(minutes=number // 2))) for number in range(7)]
    seen: list[str] = []
    cursor = ""
    while True:
        answer = desk.get(f"/v1/outcomes?limit=3{cursor}")
        seen += [one["id"] for one in answer["items"]]
        if answer["next_cursor"] is None:
            break
        cursor = f"&cursor={answer['next_cursor']}"
    assert sorted(seen) == sorted(expected)
    assert seen[-1] == expected[-1]


def test_others_outcomes_do_not_exist(desk: Desk) -> None:
    desk.outcome(desk.case(tenant="other"), tenant="other")
    assert _ids(desk) == []
