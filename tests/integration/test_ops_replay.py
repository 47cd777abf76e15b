"""Doing it again: cases, deliveries, dead letters, and what a search finds."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from shared.ids import uuid7
from tests.ops_desk import Desk, open_desk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from tests.conftest import Database

SPAN = {"created_from": "2026-01-01T00:00:00Z", "created_until": "2100-01-01T00:00:00Z"}


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    with open_desk(database) as desk:
        yield desk


@pytest.fixture
def receiver(desk: Desk) -> UUID:
    """Id of an endpoint."""
    desk.post("/v1/endpoints", {"url": "https://erp.example.com/hook"})
    endpoint: UUID = desk.rows("SELECT id FROM endpoints")[0]["id"]
    return endpoint


def test_a_search_finds_cases_by_every_filter_newest_first(desk: Desk) -> None:
    old = desk.case(age=timedelta(hours=5), arm="control")
    done = desk.case(state="decided", automation="invoices")
    desk.decision(done, "post")
    assert [c["id"] for c in desk.get("/v1/cases")["items"]] == [str(done), str(old)]
    for query in (
        "automation=invoices",
        "state=decided",
        "arm=automated",
        "outcome=post",
        f"event_id={done}",
        "source=/test&state=decided",
    ):
        assert [c["id"] for c in desk.get(f"/v1/cases?{query}")["items"]] == [str(done)], query
    assert desk.get("/v1/cases?received_from=2100-01-01T00:00:00Z")["items"] == []


def test_pages_of_a_search_show_everything_once(desk: Desk) -> None:
    cases = {str(desk.case()) for _ in range(7)}
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = desk.get(f"/v1/cases?limit=3{cursor and f'&cursor={cursor}'}")
        seen += [case["id"] for case in page["items"]]
        cursor = page["next_cursor"]
    assert len(seen) == 7
    assert set(seen) == cases


def test_a_trace_shows_everything_that_happened(desk: Desk, receiver: UUID) -> None:
    case = desk.case(state="decided")
    desk.inference(case)
    desk.decision(case)
    desk.review(case, "exception", proposal={"outcome": "adjuster"})
    delivery = desk.delivery(case, receiver, "delivered")
    trace = desk.get(f"/v1/cases/{case}")
    assert trace["event"]["data"]["cause"] == "glass"
    assert (trace["inferences"][0]["tier"], trace["inferences"][0]["score"], trace["inferences"][0]["cpu_ns"]) == ("nano", 0.71, 1000)
    assert (trace["decision"]["outcome"], trace["outcome"], trace["tier"]) == ("adjuster", "adjuster", "nano")
    assert trace["reviews"][0]["proposal"] == {"outcome": "adjuster"}
    assert trace["deliveries"][0] | {"id": str(delivery), "url": "https://erp.example.com/hook"} == trace["deliveries"][0]
    assert trace["control_probability"] == 0.05


def test_a_quarantined_case_is_sent_round_again_and_its_review_taken_back(desk: Desk) -> None:
    case = desk.case(state="quarantined")
    review = desk.review(case)
    assert desk.post(f"/v1/cases/{case}/replay")["state"] == "pending"
    row = desk.rows("SELECT state, attempt, dispatches, last_error FROM cases")[0]
    assert row == {"state": "pending", "attempt": 0, "dispatches": 0, "last_error": None}
    assert desk.rows("SELECT state FROM reviews WHERE id = %s", review) == [{"state": "cancelled"}]
    assert desk.rows("SELECT actor, action, object_id FROM audit_log WHERE action = 'case.replayed'")[0]["object_id"] == str(case)


@pytest.mark.parametrize("state", ["decided", "review", "pending", "processing"])
def test_what_is_not_quarantined_is_not_replayed_and_the_answer_says_why(desk: Desk, state: str) -> None:
    case = desk.case(state=state)
    refused = desk.call("POST", f"/v1/cases/{case}/replay")
    assert (refused.status_code, refused.json()["state"]) == (409, state)
    assert desk.rows("SELECT state FROM cases")[0]["state"] == state


def test_a_review_of_a_replayed_case_cannot_be_submitted(desk: Desk) -> None:
    case = desk.case(state="quarantined")
    review = desk.review(case)
    desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "ada"})
    desk.post(f"/v1/cases/{case}/replay")
    answer = {"outcome": "adjuster", "active_seconds": 1, "reviewer": "ada"}
    beat = {"active_seconds": 1, "sequence": 1, "reviewer": "ada"}
    for action, body in {"submit": answer, "claim": {"reviewer": "ada"}, "heartbeat": beat, "release": {"reviewer": "ada"}}.items():
        refused = desk.call("POST", f"/v1/reviews/{review}/{action}", body)
        assert refused.status_code == 409
        # Told to claim it, somebody would try for ever.
        assert refused.json()["detail"].startswith("This review was taken back: its case was replayed"), action
    assert desk.rows("SELECT * FROM decisions") == []


def test_many_are_replayed_in_portions_longest_quarantined_first(desk: Desk) -> None:
    cases = [desk.case(state="quarantined", age=timedelta(hours=5 - n)) for n in range(5)]
    foreign = desk.case(state="quarantined", tenant="other")
    order = {"automation": "claims", "limit": 3}
    assert desk.post("/v1/replay", order) == {"count": 3, "more": True}
    waiting = {row["id"] for row in desk.rows("SELECT id FROM cases WHERE state = 'quarantined'")}
    assert waiting == {*cases[3:], foreign}
    assert desk.post("/v1/replay", order) == {"count": 2, "more": False}


def test_a_dead_delivery_is_sent_again_under_the_same_id(desk: Desk, receiver: UUID) -> None:
    delivery = desk.delivery(desk.case(state="decided"), receiver, "dead")
    assert desk.call("POST", f"/v1/deliveries/{delivery}/replay").status_code == 202
    assert desk.rows("SELECT id, state, attempt FROM deliveries") == [{"id": delivery, "state": "pending", "attempt": 0}]
    assert desk.call("POST", f"/v1/deliveries/{delivery}/replay").status_code == 409


def test_deliveries_are_sent_again_by_span_endpoint_and_state(desk: Desk, receiver: UUID) -> None:
    dead = [desk.delivery(desk.case(state="decided"), receiver, "dead") for _ in range(3)]
    done = desk.delivery(desk.case(state="decided"), receiver, "delivered")
    assert desk.post("/v1/deliveries/replay", SPAN | {"endpoint_id": str(uuid7())})["count"] == 0
    assert (
        desk.post("/v1/deliveries/replay", {"created_from": "2020-01-01T00:00:00Z", "created_until": "2020-02-01T00:00:00Z"})["count"] == 0
    )
    assert desk.post("/v1/deliveries/replay", SPAN | {"endpoint_id": str(receiver), "limit": 2}) == {"count": 2, "more": True}
    assert desk.post("/v1/deliveries/replay", SPAN | {"state": "delivered"}) == {"count": 1, "more": False}
    assert {row["id"] for row in desk.rows("SELECT id FROM deliveries WHERE state = 'pending'")} == {*dead[:2], done}
    assert [d["id"] for d in desk.get("/v1/deliveries?state=dead")["items"]] == [str(dead[2])]


def test_dead_letters_are_poison_records_and_quarantined_cases(desk: Desk) -> None:
    poison, case = desk.poison(), desk.case(state="quarantined", age=timedelta(hours=1))
    desk.poison("other")
    letters = desk.get("/v1/dead-letters")["items"]
    assert [(letter["id"], letter["kind"]) for letter in letters] == [(str(poison), "poison"), (str(case), "case")]
    assert base64.b64decode(desk.get(f"/v1/dead-letters/{poison}")["raw_base64"]) == b"\x00\xff"
    assert desk.get(f"/v1/dead-letters/{poison}")["headers"] == [{"name": "x", "value_base64": None}]
    assert desk.get(f"/v1/dead-letters/{case}")["headers"] == []
    assert b"P-1" in base64.b64decode(desk.get(f"/v1/dead-letters/{case}")["raw_base64"])


def test_a_poison_record_is_resolved_once_with_a_note(desk: Desk) -> None:
    poison, case = desk.poison(), desk.case(state="quarantined")
    assert desk.call("POST", f"/v1/dead-letters/{poison}/resolve", {}).status_code == 422
    assert desk.post(f"/v1/dead-letters/{poison}/resolve", {"note": "sender fixed"})["resolved_at"]
    assert desk.call("POST", f"/v1/dead-letters/{poison}/resolve", {"note": "again"}).status_code == 409
    assert desk.call("POST", f"/v1/dead-letters/{case}/resolve", {"note": "no"}).status_code == 409
    assert [letter["kind"] for letter in desk.get("/v1/dead-letters")["items"]] == ["case"]
    assert len(desk.get("/v1/dead-letters?resolved=true")["items"]) == 2
    assert desk.rows("SELECT detail FROM audit_log WHERE action = 'dead_letter.resolved'") == [{"detail": {"note": "sender fixed"}}]


def test_a_message_about_no_single_case_is_listed_and_sent_again_like_any_other(desk: Desk, receiver: UUID) -> None:
    outbox_id, delivery_id = uuid7(), uuid7()
    desk.sql.execute(
        "INSERT INTO outbox (id, tenant_id, subject, automation, kind, body)"
        " VALUES (%s, 'acme', 'claims', 'claims', 'savings.recorded', '{}')",
        (outbox_id,),
    )
    desk.sql.execute(
        "INSERT INTO deliveries (id, tenant_id, outbox_id, endpoint_id, state, attempt, next_attempt_at)"
        " VALUES (%s, 'acme', %s, %s, 'dead', 7, now())",
        (delivery_id, outbox_id, receiver),
    )
    (listed,) = desk.get("/v1/deliveries?state=dead")["items"]
    assert (listed["id"], listed["case_id"]) == (str(delivery_id), None)
    assert desk.post(f"/v1/deliveries/{delivery_id}/replay")["state"] == "pending"
