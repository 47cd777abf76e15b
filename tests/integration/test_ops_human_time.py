"""Time of people is counted once and correctly, whatever happens at the desk; reopened cases go on counting."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from shared.casework.callback import CORRECTED_TYPE
from tests.ops_desk import Desk, open_desk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from tests.conftest import Database

HOUR = 3600


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    with open_desk(database) as desk:
        yield desk


def _claim(desk: Desk, review: object, who: str) -> Any:
    return desk.post(f"/v1/reviews/{review}/claim", {"reviewer": who})


def _beat(desk: Desk, review: object, who: str, active: float, sequence: int) -> Any:
    return desk.post(f"/v1/reviews/{review}/heartbeat", {"active_seconds": active, "sequence": sequence, "reviewer": who})


def _answer(who: str, active: float, **more: Any) -> dict[str, Any]:
    return {"outcome": "adjuster", "reasons": [], "active_seconds": active, "reviewer": who} | more


def _submit(desk: Desk, review: object, who: str, active: float, **more: Any) -> Any:
    return desk.post(f"/v1/reviews/{review}/submit", _answer(who, active, **more))


def _pass(desk: Desk, review: object, seconds: int) -> None:
    """As if everything so far had happened that much earlier."""
    back = "make_interval(secs => %s)"
    desk.sql.execute(f"UPDATE reviews SET claimed_at = claimed_at - {back} WHERE id = %s".encode(), (seconds, review))
    desk.sql.execute(f"UPDATE reviews SET claim_expires_at = claim_expires_at - {back} WHERE id = %s".encode(), (seconds, review))
    desk.sql.execute(f"UPDATE review_heartbeats SET created_at = created_at - {back} WHERE review_id = %s".encode(), (seconds, review))


def _lines(desk: Desk, case: UUID) -> list[tuple[str, int, Decimal]]:
    found = desk.rows(
        "SELECT kind, sequence, quantity FROM ledger_lines WHERE case_id = %s AND unit = 's' ORDER BY booked_at, sequence", case
    )
    return [(row["kind"], row["sequence"], row["quantity"]) for row in found]


def _decided(desk: Desk, *, arm: str = "automated", seconds: float = 20) -> UUID:
    """A case that a person has decided, with that much time."""
    case, review = desk.waiting(arm=arm)
    _claim(desk, review, "ada")
    _pass(desk, review, 100)
    _submit(desk, review, "ada", seconds)
    return case


def test_of_two_people_who_decide_the_same_case_at_once_one_decides_and_both_times_count_once(desk: Desk) -> None:
    """Bob's claim ran out while he was away, Ada took over; both press the button in the same moment."""
    case, review = desk.waiting()
    _claim(desk, review, "bob")
    _beat(desk, review, "bob", 30, 0)
    _pass(desk, review, HOUR)
    desk.sql.execute("UPDATE reviews SET claimed_at = claim_expires_at - interval '40 seconds' WHERE id = %s", (review,))
    _claim(desk, review, "ada")
    _pass(desk, review, 60)
    start = Barrier(8)

    def press(n: int) -> int:
        start.wait(10)
        who, outcome = (("ada", "adjuster"), ("bob", "fast_track_pay"))[n % 2]
        return desk.call("POST", f"/v1/reviews/{review}/submit", _answer(who, 25, outcome=outcome)).status_code

    desk.token("acme", "admin")
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(press, range(8)))
    assert (set(statuses[::2]), set(statuses[1::2])) == ({200}, {409})
    decisions = desk.rows("SELECT outcome, decided_by FROM decisions WHERE case_id = %s", case)
    assert decisions == [{"outcome": "adjuster", "decided_by": "ada"}]
    assert _lines(desk, case) == [("review_time", 0, Decimal(55))]
    assert desk.rows("SELECT count(*) AS n FROM outbox WHERE case_id = %s", case)[0]["n"] == 1


def test_two_reviews_of_one_case_submitted_at_once_decide_it_once_and_lose_no_work(desk: Desk) -> None:
    case, first = desk.waiting()
    desk.sql.execute("UPDATE reviews SET kind = 'control' WHERE id = %s", (first,))
    second = desk.review(case)
    for review, who in ((first, "ada"), (second, "bob")):
        _claim(desk, review, who)
        _pass(desk, review, 200)
        _beat(desk, review, who, 50, 0)
    desk.token("acme", "admin")
    start = Barrier(2)

    def press(review: UUID, who: str) -> int:
        start.wait(10)
        return desk.call("POST", f"/v1/reviews/{review}/submit", _answer(who, 50)).status_code

    with ThreadPoolExecutor(2) as pool:
        statuses = sorted(pool.map(press, (first, second), ("ada", "bob")))
    assert statuses == [200, 409]
    assert [quantity for _, _, quantity in _lines(desk, case)] == [Decimal(50), Decimal(50)]
    states = desk.rows("SELECT state, booked_seconds FROM reviews WHERE case_id = %s ORDER BY state", case)
    assert [(row["state"], row["booked_seconds"]) for row in states] == [("cancelled", Decimal(50)), ("submitted", Decimal(50))]


def test_work_on_a_review_that_was_abandoned_half_way_is_booked_with_the_case_in_the_end(desk: Desk) -> None:
    case, review = desk.waiting(arm="control")
    _claim(desk, review, "bob")
    _pass(desk, review, 45)
    _beat(desk, review, "bob", 40, 0)
    _pass(desk, review, HOUR)
    assert [r["id"] for r in desk.post("/v1/reviews/claim-next", {"reviewer": "ada"})] == [str(review)]
    _pass(desk, review, 90)
    assert _submit(desk, review, "ada", 35)["booked_seconds"] == 75
    assert _lines(desk, case) == [("manual_time", 0, Decimal(75))]


def test_work_on_a_review_that_a_replay_takes_back_is_booked_once(desk: Desk) -> None:
    case = desk.case(state="quarantined", stratum=None)
    review = desk.review(case, reasons=["quarantined"])
    _claim(desk, review, "bob")
    _pass(desk, review, 120)
    _beat(desk, review, "bob", 33, 0)
    desk.post(f"/v1/cases/{case}/replay")
    assert desk.call("POST", f"/v1/reviews/{review}/submit", _answer("bob", 33)).status_code == 409
    assert _lines(desk, case) == [("review_time", 0, Decimal(33))]
    desk.sql.execute("UPDATE cases SET state = 'review' WHERE id = %s", (case,))
    again = desk.review(case, "control")
    _claim(desk, again, "ada")
    _pass(desk, again, 60)
    _submit(desk, again, "ada", 10)
    assert _lines(desk, case) == [("review_time", 0, Decimal(33)), ("review_time", 1, Decimal(10))]


def test_an_hour_that_a_laptop_slept_is_not_booked_even_where_its_clock_counted_on(desk: Desk) -> None:
    _, review = desk.waiting()
    _claim(desk, review, "ada")
    _pass(desk, review, 50)
    _beat(desk, review, "ada", 45, 0)
    _pass(desk, review, HOUR)
    assert _beat(desk, review, "ada", 45 + HOUR, 1)["active_seconds"] == 105
    _pass(desk, review, 15)
    assert _beat(desk, review, "ada", 60 + HOUR, 2)["active_seconds"] == 120
    _pass(desk, review, 5)
    answer = _submit(desk, review, "ada", 65 + HOUR)
    assert (answer["active_seconds"], answer["booked_seconds"]) == (125, 125)
    assert answer["span_seconds"] == pytest.approx(HOUR + 70, abs=10)


def test_an_hour_of_sleep_right_before_the_submit_is_not_booked_either(desk: Desk) -> None:
    _, review = desk.waiting()
    _claim(desk, review, "ada")
    _pass(desk, review, 50)
    _beat(desk, review, "ada", 45, 0)
    _pass(desk, review, HOUR)
    assert _submit(desk, review, "ada", 45 + HOUR)["booked_seconds"] == 105


def test_a_clock_that_stood_still_while_the_laptop_slept_is_booked_in_full(desk: Desk) -> None:
    _, review = desk.waiting()
    _claim(desk, review, "ada")
    _pass(desk, review, 50)
    _beat(desk, review, "ada", 45, 0)
    _pass(desk, review, HOUR)
    _pass(desk, review, 20)
    assert _submit(desk, review, "ada", 63)["booked_seconds"] == 63


def test_whoever_sends_no_heartbeat_is_believed_for_as_long_as_the_claim_holds(desk: Desk) -> None:
    _, review = desk.waiting()
    _claim(desk, review, "ada")
    _pass(desk, review, HOUR)
    answer = _submit(desk, review, "ada", HOUR)
    assert (answer["active_seconds"], answer["booked_seconds"]) == (HOUR, 300)


def test_work_whose_heartbeats_were_lost_on_the_way_is_booked_in_full(desk: Desk) -> None:
    _, review = desk.waiting()
    _claim(desk, review, "ada")
    _pass(desk, review, 20)
    _beat(desk, review, "ada", 15, 0)
    _pass(desk, review, 240)
    assert _submit(desk, review, "ada", 250, sequence=16)["booked_seconds"] == 250


def test_two_tabs_on_one_review_do_not_count_the_same_time_twice(desk: Desk) -> None:
    _, review = desk.waiting()
    _claim(desk, review, "ada")
    _claim(desk, review, "ada")
    _pass(desk, review, HOUR)
    # One tab was worked in; the other one, which was seldom looked at, has made more heartbeats by and by.
    for sequence, active in enumerate((50, 100)):
        _beat(desk, review, "ada", active, sequence)
    for sequence in range(2, 12, 2):
        assert _beat(desk, review, "ada", 20 + sequence, sequence)["active_seconds"] == 99 + sequence // 2
        assert _beat(desk, review, "ada", 100 + sequence // 2, sequence + 1)["active_seconds"] == 100 + sequence // 2
    assert _submit(desk, review, "ada", 105, sequence=12)["booked_seconds"] == 105


def test_a_double_submit_counts_once(desk: Desk) -> None:
    case, review = desk.waiting()
    _claim(desk, review, "ada")
    _pass(desk, review, 40)
    _beat(desk, review, "ada", 30, 0)
    desk.token("acme", "admin")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: desk.call("POST", f"/v1/reviews/{review}/submit", _answer("ada", 38)), range(6)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["booked_seconds"] for answer in answers} == {38}
    assert _lines(desk, case) == [("review_time", 0, Decimal(38))]


@pytest.mark.parametrize(("arm", "kind"), [("automated", "review_time"), ("control", "manual_time")])
def test_rework_adds_its_time_to_the_same_case(desk: Desk, arm: str, kind: str) -> None:
    case = _decided(desk, arm=arm)
    for number, seconds in enumerate((30, 12), 1):
        review = desk.post(f"/v1/cases/{case}/reopen", {"reason": "objection"})
        assert (review["kind"], review["round"], review["state"]) == ("rework", number - 1, "open")
        _claim(desk, review["id"], "bob")
        _pass(desk, review["id"], 100)
        assert _submit(desk, review["id"], "bob", seconds)["booked_seconds"] == seconds
        assert _lines(desk, case)[number] == (kind, number, Decimal(seconds))


def test_rework_shows_why_and_what_holds_and_confirming_it_sends_nothing(desk: Desk) -> None:
    case = _decided(desk)
    review = desk.post(f"/v1/cases/{case}/reopen", {"reason": "The customer objects."})
    claimed = _claim(desk, review["id"], "bob")
    assert (claimed["reasons"], claimed["proposal"]) == (["The customer objects."], {"outcome": "adjuster", "attributes": {}})
    first = _submit(desk, review["id"], "bob", 0, reasons=["checked"])
    assert _submit(desk, review["id"], "bob", 0, reasons=["checked"]) == first
    trace = desk.get(f"/v1/cases/{case}")
    assert (trace["corrections"], trace["state"], trace["decision"]["decided_by"]) == ([], "decided", "ada")
    assert desk.rows("SELECT count(*) AS n FROM outbox WHERE case_id = %s", case)[0]["n"] == 1


def test_rework_that_finds_something_else_corrects_it_and_leaves_the_decision_as_it_was(desk: Desk) -> None:
    case = _decided(desk)
    for outcome, previous in (("fast_track_pay", "adjuster"), ("adjuster", "fast_track_pay")):
        review = desk.post(f"/v1/cases/{case}/reopen", {"reason": "objection"})
        _claim(desk, review["id"], "bob")
        _submit(desk, review["id"], "bob", 0, outcome=outcome, reasons=["late_report"])
        trace = desk.get(f"/v1/cases/{case}")
        newest = trace["corrections"][-1]
        assert (newest["previous_outcome"], newest["outcome"], newest["corrected_by"]) == (previous, outcome, "bob")
        assert (trace["decision"]["outcome"], trace["decision"]["decided_by"]) == ("adjuster", "ada")
    messages = desk.rows("SELECT kind, body FROM outbox WHERE case_id = %s ORDER BY sequence", case)
    assert [message["kind"] for message in messages] == ["decision.made", "decision.corrected.1", "decision.corrected.2"]
    event = json.loads(bytes(messages[1]["body"]))
    assert (event["type"], event["id"]) == (CORRECTED_TYPE, trace["corrections"][0]["id"])
    assert (event["data"]["case_id"], event["data"]["outcome"], event["data"]["previous_outcome"]) == (
        str(case),
        "fast_track_pay",
        "adjuster",
    )
    assert b"bob" not in messages[1]["body"]
    assert {row["action"] for row in desk.rows("SELECT action FROM audit_log")} >= {"case.reopened", "review.reworked"}


def test_a_case_is_reopened_once_at_a_time_and_only_after_its_decision(desk: Desk) -> None:
    waiting, _ = desk.waiting()
    decided = _decided(desk)
    assert desk.call("POST", f"/v1/cases/{waiting}/reopen", {"reason": "r"}).status_code == 409
    desk.token("acme", "operator")
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda _: desk.call("POST", f"/v1/cases/{decided}/reopen", {"reason": "r"}, role="operator").status_code, range(4))
        )
    assert sorted(answers) == [201, 409, 409, 409]
    assert desk.call("POST", f"/v1/cases/{decided}/reopen", {"reason": "r"}, role="executive").status_code == 403


def test_how_far_the_clocks_disagree_is_published_by_automation_and_kind(desk: Desk) -> None:
    for arm, span, active in (("automated", 200, 50), ("automated", 60, 50), ("control", 40, 100)):
        _, review = desk.waiting(arm=arm)
        _claim(desk, review, "ada")
        _pass(desk, review, span)
        _submit(desk, review, "ada", active)
    report = {row["kind"]: row for row in desk.get("/v1/reviews/clocks", role="executive")["items"]}
    assert set(report) == {"*", "control", "exception"}
    assert (report["exception"]["reviews"], report["exception"]["apart"], report["exception"]["active_seconds"]) == (2, 1, "100.000")
    assert float(report["exception"]["difference_seconds"]) == pytest.approx(160, abs=10)
    assert float(report["exception"]["share"]) == pytest.approx(160 / 260, abs=0.03)
    assert float(report["control"]["beyond_span_seconds"]) == pytest.approx(60, abs=5)
    assert (report["*"]["reviews"], report["*"]["automation"]) == (3, "claims")
    assert desk.get("/v1/reviews/clocks", tenant="other")["items"] == []
    assert desk.get("/v1/reviews/clocks?until=2026-01-01T00:00:00Z")["items"] == []
