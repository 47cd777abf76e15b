"""Second looks: nobody who answers is influenced, two people who agree are right, a third decides, and each costs its time once."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from shared.ids import uuid7
from tests.ops_desk import Desk, open_desk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    with open_desk(database) as desk:
        yield desk


def drawn(desk: Desk, outcome: str = "adjuster", probability: str = "0.02") -> tuple[UUID, UUID]:
    """A decided case that was drawn: ids of the case and of its audit review."""
    case_id = desk.case(state="decided")
    desk.inference(case_id)
    desk.decision(case_id, outcome)
    desk.sql.execute(
        "INSERT INTO audits (case_id, tenant_id, automation, stratum, probability, least, outcome, tier, decided_at)"
        " SELECT case_id, tenant_id, automation, stratum, %s, 0.02, outcome, tier, decided_at FROM decisions WHERE case_id = %s",
        (Decimal(probability), case_id),
    )
    return case_id, desk.review(case_id, "audit")


def answer(desk: Desk, review_id: UUID | str, outcome: str, reviewer: str) -> dict[str, Any]:
    desk.post(f"/v1/reviews/{review_id}/claim", {"reviewer": reviewer})
    # Work of some seconds, which have passed by the server's clock as well.
    desk.sql.execute("UPDATE reviews SET claimed_at = claimed_at - interval '1 minute' WHERE id = %s", (review_id,))
    answered: dict[str, Any] = desk.post(
        f"/v1/reviews/{review_id}/submit", {"reviewer": reviewer, "outcome": outcome, "active_seconds": 30}
    )
    return answered


def adjudication(desk: Desk, case_id: UUID) -> str:
    (row,) = desk.rows("SELECT id FROM reviews WHERE case_id = %s AND kind = 'audit' AND round = 1", case_id)
    return str(row["id"])


def found(desk: Desk, case_id: UUID) -> list[tuple[Any, ...]]:
    rows = desk.rows("SELECT round, outcome, wrong, reviewer FROM audit_findings WHERE case_id = %s ORDER BY round", case_id)
    return [tuple(row.values()) for row in rows]


def lines(desk: Desk, case_id: UUID) -> list[tuple[Any, ...]]:
    rows = desk.rows(
        "SELECT kind, sequence, quantity, unit, amount, currency FROM ledger_lines WHERE case_id = %s ORDER BY kind, sequence", case_id
    )
    return [tuple(row.values()) for row in rows]


def test_two_who_agree_are_right_and_the_second_ones_time_is_a_cost_of_the_case(desk: Desk) -> None:
    case_id, review_id = drawn(desk)
    answer(desk, review_id, "adjuster", "ada")
    assert found(desk, case_id) == [(0, "adjuster", False, "ada")]
    assert lines(desk, case_id) == [("review_time", 0, Decimal(30), "s", None, None)]
    assert desk.rows("SELECT 1 FROM reviews WHERE case_id = %s AND state = 'open'", case_id) == []
    assert desk.rows("SELECT 1 FROM outbox") == []


def test_the_same_second_answer_twice_is_one_finding_and_costs_once(desk: Desk) -> None:
    case_id, review_id = drawn(desk)
    first = answer(desk, review_id, "adjuster", "ada")
    again = desk.post(f"/v1/reviews/{review_id}/submit", {"reviewer": "ada", "outcome": "adjuster", "active_seconds": 30})
    assert first == again
    assert len(found(desk, case_id)) == len(lines(desk, case_id)) == 1


def test_where_they_differ_another_person_decides_and_a_wrong_first_answer_counts_for_those_that_nobody_looked_at(desk: Desk) -> None:
    desk.post("/v1/rates", {"name": "loss_per_error", "value": "80", "currency": "EUR", "source": "a year of complaints",
                            "valid_from": "2026-01-01T00:00:00Z"})  # fmt: skip
    case_id, review_id = drawn(desk, probability="0.05")
    answer(desk, review_id, "fast_track_pay", "ada")
    assert found(desk, case_id) == [(0, "fast_track_pay", None, "ada")]
    adjudicated = adjudication(desk, case_id)
    answer(desk, adjudicated, "fast_track_pay", "ben")
    assert found(desk, case_id) == [(0, "fast_track_pay", None, "ada"), (1, "fast_track_pay", True, "ben")]
    # One error found with a probability of 5 % stands for twenty.
    assert lines(desk, case_id) == [
        ("error", 0, Decimal(20), "errors", Decimal(1600), "EUR"),
        ("review_time", 0, Decimal(30), "s", None, None),
        ("review_time", 1, Decimal(30), "s", None, None),
    ]
    assert desk.rows("SELECT outcome FROM decisions WHERE case_id = %s", case_id) == [{"outcome": "adjuster"}]
    (told,) = desk.rows("SELECT subject, body FROM outbox WHERE kind = 'savings.restated'")
    data = json.loads(bytes(told["body"]))["data"]
    assert (told["subject"], data["case_id"], data["result"]) == (adjudicated, str(case_id), "audited")
    assert [(line["kind"], Decimal(line["amount"])) for line in data["lines"]] == [("error", Decimal(1600))]


def test_an_error_that_costs_the_most_and_stands_for_many_is_booked(desk: Desk) -> None:
    desk.post("/v1/rates", {"name": "loss_per_error", "value": "999999999999.99", "currency": "IDR", "source": "the most there is",
                            "valid_from": "2026-01-01T00:00:00Z"})  # fmt: skip
    case_id, review_id = drawn(desk)
    answer(desk, review_id, "fast_track_pay", "ada")
    answer(desk, adjudication(desk, case_id), "fast_track_pay", "ben")
    assert lines(desk, case_id)[0] == ("error", 0, Decimal(50), "errors", Decimal("49999999999999.50"), "IDR")


def test_a_third_answer_may_vindicate_the_first(desk: Desk) -> None:
    case_id, review_id = drawn(desk)
    answer(desk, review_id, "fast_track_pay", "ada")
    answer(desk, adjudication(desk, case_id), "adjuster", "ben")
    assert found(desk, case_id)[1] == (1, "adjuster", False, "ben")
    assert {line[0] for line in lines(desk, case_id)} == {"review_time"}


def test_an_error_without_a_loss_is_counted_and_its_amount_stays_open(desk: Desk) -> None:
    case_id, review_id = drawn(desk)
    answer(desk, review_id, "fast_track_pay", "ada")
    answer(desk, adjudication(desk, case_id), "fast_track_pay", "ben")
    assert lines(desk, case_id)[0] == ("error", 0, Decimal(50), "errors", None, None)


def test_whoever_gave_one_of_two_answers_cannot_say_which_is_right(desk: Desk) -> None:
    case_id, review_id = drawn(desk)
    answer(desk, review_id, "fast_track_pay", "ada")
    third = adjudication(desk, case_id)
    assert desk.call("POST", f"/v1/reviews/{third}/claim", {"reviewer": "ada"}).status_code == 409
    assert desk.post("/v1/reviews/claim-next", {"reviewer": "ada", "limit": 10}) == []
    (shown,) = desk.post("/v1/reviews/claim-next", {"reviewer": "ben", "limit": 10})
    # Both answers, and not whose they are.
    assert (shown["id"], shown["reasons"], shown["proposal"]) == (third, ["disagreement"], {"answers": ["adjuster", "fast_track_pay"]})


def test_nobody_sees_an_answer_before_the_last_one_is_in(desk: Desk) -> None:
    case_id, review_id = drawn(desk)
    for state, reviewer in (("waiting", "ada"), ("disputed", "ben")):
        (audit,) = desk.get(f"/v1/audits?state={state}")["items"]
        assert (audit["first_outcome"], audit["second_outcome"], audit["adjudicated_outcome"]) == (None, None, None)
        trace = desk.get(f"/v1/cases/{case_id}")
        assert (trace["blinded"], trace["decision"], trace["inferences"]) == (True, None, [])
        answer(desk, review_id, "fast_track_pay", reviewer)
        review_id = UUID(adjudication(desk, case_id))
    (audit,) = desk.get("/v1/audits?automation=claims")["items"]
    assert (audit["state"], audit["first_outcome"], audit["second_outcome"], audit["adjudicated_outcome"]) == (
        "wrong", "adjuster", "fast_track_pay", "fast_track_pay",
    )  # fmt: skip
    assert (audit["second_by"], audit["adjudicated_by"], audit["probability"]) == ("ada", "ben", "0.0200")


def test_shares_and_the_limit_are_set_per_automation_and_kept_exactly(desk: Desk) -> None:
    before = next(a for a in desk.get("/v1/automations") if a["name"] == "claims")
    assert (before["audit_share"], before["audit_strata"], before["error_limit"], before["brake"]) == ("0.02", {}, "0.05", None)
    desk.patch("/v1/automations/claims", {"audit_share": "0.01", "audit_strata": {"injury": "0.25"}})
    after = desk.patch("/v1/automations/claims", {"error_limit": "0.03"})
    assert (after["audit_share"], after["audit_strata"], after["error_limit"]) == ("0.0100", {"injury": "0.25"}, "0.0300")
    assert desk.call("PATCH", "/v1/automations/claims", {"error_limit": "0"}).status_code == 422


def test_only_a_person_releases_a_brake_and_it_is_written_down(desk: Desk) -> None:
    assert desk.call("POST", "/v1/automations/claims/release-brake", {"note": "x"}).status_code == 409
    brake_id = uuid7()
    desk.sql.execute(
        "INSERT INTO brakes (id, tenant_id, automation, braked_at, evidence) VALUES (%s, 'acme', 'claims', now(), %s)",
        (brake_id, Jsonb({"limit": "0.05"})),
    )
    desk.sql.execute(
        "INSERT INTO brake_evidence (tenant_id, automation, stakes, reserve, audits, wrong, highest, horizon, since)"
        " VALUES ('acme', 'claims', '{40, 80}', 0.1, 300, 30, 120.5, '1', now() - interval '1 day')"
    )
    assert next(a for a in desk.get("/v1/automations") if a["name"] == "claims")["brake"]["id"] == str(brake_id)
    released = desk.post("/v1/automations/claims/release-brake", {"note": "threshold raised"}, role="operator")
    assert (released["id"], released["released_by"], released["note"]) == (str(brake_id), "operator of acme", "threshold raised")
    assert next(a for a in desk.get("/v1/automations") if a["name"] == "claims")["brake"] is None
    assert desk.rows("SELECT stakes, audits, wrong, highest, horizon::text > '1' AS later FROM brake_evidence") == [
        {"stakes": [], "audits": 0, "wrong": 0, "highest": 1.0, "later": True}
    ]
    assert desk.rows("SELECT action, object_id FROM audit_log WHERE action = 'brake.released'") == [
        {"action": "brake.released", "object_id": str(brake_id)}
    ]
    assert desk.get("/v1/brakes")["items"][0]["released_at"] is not None


def test_who_answers_again_sees_neither_what_a_reopened_case_shows_nor_whose_the_first_answer_is(desk: Desk) -> None:
    reopened, _ = drawn(desk, "fast_track_pay")
    desk.post(f"/v1/cases/{reopened}/reopen", {"reason": "The customer objects."}, role="operator")
    disputed, second = drawn(desk, "fast_track_pay")
    answer(desk, second, "adjuster", "anna")
    for case_id in (reopened, disputed):
        trace = desk.get(f"/v1/cases/{case_id}", role="operator")
        assert (trace["blinded"], len(trace["reviews"])) == (True, 2)
        assert {(review["proposal"], review["outcome"]) for review in trace["reviews"]} == {(None, None)}
    answer(desk, adjudication(desk, disputed), "adjuster", "ben")
    trace = desk.get(f"/v1/cases/{disputed}", role="operator")
    assert (trace["blinded"], {review["outcome"] for review in trace["reviews"]}) == (False, {"adjuster"})
