"""Work of people: claims, clocks, submitted answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from shared.ids import uuid7
from tests.ops_desk import Desk, open_desk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Database

ANSWER: dict[str, Any] = {"outcome": "adjuster", "reasons": ["unclear"], "active_seconds": 3600, "reviewer": "ada"}


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    with open_desk(database) as desk:
        yield desk


def _backdate_claim(desk: Desk, review: object, seconds: int) -> None:
    desk.sql.execute("UPDATE reviews SET claimed_at = now() - make_interval(secs => %s) WHERE id = %s", (seconds, review))


def _expire_claim(desk: Desk, review: object) -> None:
    desk.sql.execute("UPDATE reviews SET claim_expires_at = now() - interval '1 second' WHERE id = %s", (review,))


def test_the_queue_shows_the_longest_waiting_first_page_by_page(desk: Desk) -> None:
    reviews = [desk.waiting()[1] for _ in range(5)]
    first = desk.get("/v1/reviews?limit=3")
    second = desk.get(f"/v1/reviews?limit=3&cursor={first['next_cursor']}")
    assert [r["id"] for r in first["items"] + second["items"]] == [str(r) for r in reviews]
    assert second["next_cursor"] is None


def test_a_claim_starts_the_clock_and_shows_the_event(desk: Desk) -> None:
    case, review = desk.waiting(reasons=["low_confidence"])
    assert desk.get(f"/v1/reviews/{review}")["event"] is None
    claimed = desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "ada"})
    assert claimed["event"]["data"]["policy_number"] == "P-1"
    assert (claimed["case_id"], claimed["claimed_by"], claimed["next_sequence"]) == (str(case), "ada", 0)
    assert claimed["proposal"] == {"outcome": "adjuster"}
    assert claimed["outcomes"] == ["fast_track_pay", "adjuster", "special_investigation"]


@pytest.mark.parametrize("kind", ["control", "audit"])
def test_whoever_measures_or_audits_sees_no_proposal(desk: Desk, kind: str) -> None:
    case = desk.case(state="review" if kind == "control" else "decided", arm="control" if kind == "control" else "automated")
    desk.inference(case)
    if kind == "audit":
        desk.decision(case, "adjuster")
    review = desk.review(case, kind, reasons=["hint"], proposal={"outcome": "adjuster"})
    claimed = desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "ada"})
    trace = desk.get(f"/v1/cases/{case}")
    found = desk.get("/v1/cases")["items"][0]
    assert (claimed["reasons"], claimed["proposal"]) == ([], None)
    assert (trace["blinded"], trace["inferences"], trace["decision"], trace["ledger"], trace["outcome"]) == (True, [], None, [], None)
    assert (trace["reviews"][0]["proposal"], trace["reviews"][0]["reasons"]) == (None, [])
    assert (found["outcome"], found["tier"]) == (None, None)
    assert desk.get("/v1/cases?outcome=adjuster")["items"] == []


def test_a_second_claim_by_somebody_else_is_refused_and_ones_own_goes_on(desk: Desk) -> None:
    _, review = desk.waiting()
    first = desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "ada"})
    assert desk.call("POST", f"/v1/reviews/{review}/claim", {"reviewer": "bob"}).status_code == 409
    again = desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "ada"})
    assert again["claimed_at"] == first["claimed_at"]


def test_without_a_reviewer_the_key_is_the_reviewer(desk: Desk) -> None:
    _, review = desk.waiting()
    assert desk.post(f"/v1/reviews/{review}/claim", role="operator")["claimed_by"] == "operator of acme"


def test_people_who_ask_at_once_get_different_reviews(desk: Desk) -> None:
    for _ in range(24):
        desk.waiting()
    desk.token("acme", "operator")

    def take(n: int) -> list[str]:
        taken = desk.post("/v1/reviews/claim-next", {"reviewer": f"clerk {n}", "limit": 5}, role="operator")
        return [review["id"] for review in taken]

    with ThreadPoolExecutor(4) as pool:
        taken = [review for batch in pool.map(take, range(8)) for review in batch]
    taken += [r["id"] for r in desk.post("/v1/reviews/claim-next", {"reviewer": "late", "limit": 50})]
    assert len(taken) == len(set(taken)) == 24


def test_claim_next_respects_automation_and_kind(desk: Desk) -> None:
    desk.waiting()
    _, control = desk.waiting(arm="control")
    assert desk.post("/v1/reviews/claim-next", {"automation": "complaints", "limit": 9}) == []
    assert [r["id"] for r in desk.post("/v1/reviews/claim-next", {"kind": "control", "limit": 9})] == [str(control)]


def test_a_heartbeat_counts_once_and_never_backwards(desk: Desk) -> None:
    _, review = desk.waiting()
    desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "ada"})
    for sequence, active in ((0, 10), (1, 25), (1, 25), (0, 10)):
        beat = {"active_seconds": active, "sequence": sequence, "reviewer": "ada"}
        answer = desk.post(f"/v1/reviews/{review}/heartbeat", beat)
    assert answer["active_seconds"] == 25
    assert desk.rows("SELECT count(*) AS n FROM review_heartbeats")[0]["n"] == 2
    refused = desk.call("POST", f"/v1/reviews/{review}/heartbeat", {"active_seconds": 1, "sequence": 2, "reviewer": "bob"})
    assert refused.status_code == 409


def test_submitting_decides_the_case_books_the_time_and_queues_the_callback(desk: Desk) -> None:
    case, review = desk.waiting()
    desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "ada"})
    _backdate_claim(desk, review, 100)
    answer = desk.post(f"/v1/reviews/{review}/submit", ANSWER | {"active_seconds": 60.5, "attributes": {"desk": "7"}})
    decision = desk.rows("SELECT * FROM decisions WHERE case_id = %s", case)[0]
    lines = desk.rows("SELECT kind, quantity, unit, grade FROM ledger_lines WHERE case_id = %s", case)
    assert answer["booked_seconds"] == 60.5
    assert answer["span_seconds"] == pytest.approx(100, abs=5)
    assert (decision["outcome"], decision["tier"], decision["decided_by"], decision["confidence"]) == ("adjuster", "human", "ada", None)
    assert (decision["reasons"], decision["attributes"]) == (["unclear"], {"desk": "7"})
    assert lines == [{"kind": "review_time", "quantity": Decimal("60.5"), "unit": "s", "grade": "A"}]
    assert desk.rows("SELECT kind FROM outbox WHERE case_id = %s", case) == [{"kind": "decision.made"}]
    assert desk.get(f"/v1/cases/{case}")["state"] == "decided"


def test_nobody_books_more_than_has_passed_since_the_claim(desk: Desk) -> None:
    _, review = desk.waiting()
    desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "ada"})
    _backdate_claim(desk, review, 30)
    answer = desk.post(f"/v1/reviews/{review}/submit", ANSWER)
    assert answer["booked_seconds"] == answer["span_seconds"] == pytest.approx(30, abs=5)
    assert answer["active_seconds"] == 3600


def test_a_control_review_books_manual_time_only(desk: Desk) -> None:
    case, review = desk.waiting(arm="control")
    desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "ada"})
    desk.post(f"/v1/reviews/{review}/submit", ANSWER)
    assert [line["kind"] for line in desk.rows("SELECT kind FROM ledger_lines WHERE case_id = %s", case)] == ["manual_time"]


def test_a_simulated_tenants_time_is_scaled(desk: Desk) -> None:
    desk.tenant("lab", time_scale=60)
    _, review = desk.waiting(tenant="lab")
    desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "ada"}, tenant="lab")
    _backdate_claim(desk, review, 10)
    answer = desk.post(f"/v1/reviews/{review}/submit", ANSWER | {"active_seconds": 5}, tenant="lab")
    assert (answer["active_seconds"], answer["booked_seconds"]) == (5, 300)


def test_the_same_answer_twice_is_one_answer_and_another_one_is_refused(desk: Desk) -> None:
    case, review = desk.waiting()
    desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "ada"})
    first = desk.post(f"/v1/reviews/{review}/submit", ANSWER)
    assert desk.post(f"/v1/reviews/{review}/submit", ANSWER) == first
    others: tuple[dict[str, Any], ...] = ({"outcome": "fast_track_pay"}, {"reasons": []}, {"reviewer": "bob"}, {"attributes": {"a": "b"}})
    for other in others:
        assert desk.call("POST", f"/v1/reviews/{review}/submit", ANSWER | other).status_code == 409
    assert desk.rows("SELECT count(*) AS n FROM ledger_lines WHERE case_id = %s", case)[0]["n"] == 1


def test_two_submits_at_once_decide_once(desk: Desk) -> None:
    case, review = desk.waiting()
    desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "ada"})
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: desk.call("POST", f"/v1/reviews/{review}/submit", ANSWER), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert desk.rows("SELECT count(*) AS n FROM outbox WHERE case_id = %s", case)[0]["n"] == 1


def test_only_whoever_holds_the_claim_may_submit(desk: Desk) -> None:
    _, review = desk.waiting()
    assert desk.call("POST", f"/v1/reviews/{review}/submit", ANSWER).status_code == 409
    desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "bob"})
    assert desk.call("POST", f"/v1/reviews/{review}/submit", ANSWER).status_code == 409


def test_an_outcome_that_a_person_may_not_choose_is_refused(desk: Desk) -> None:
    _, review = desk.waiting(automation="invoices")
    desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "ada"})
    refused = desk.call("POST", f"/v1/reviews/{review}/submit", ANSWER | {"outcome": "exception"})
    assert (refused.status_code, refused.json()["known"]) == (422, ["post", "reject"])


def test_an_expired_claim_can_be_taken_over_and_its_work_is_kept(desk: Desk) -> None:
    _, review = desk.waiting()
    desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "bob"})
    _backdate_claim(desk, review, 100)
    desk.post(f"/v1/reviews/{review}/heartbeat", {"active_seconds": 40, "sequence": 0, "reviewer": "bob"})
    assert desk.post("/v1/reviews/claim-next", {"reviewer": "ada"}) == []
    _expire_claim(desk, review)
    taken = desk.post("/v1/reviews/claim-next", {"reviewer": "ada"})
    assert [(r["id"], r["active_seconds"]) for r in taken] == [(str(review), 0)]
    _backdate_claim(desk, review, 20)
    assert desk.call("POST", f"/v1/reviews/{review}/submit", ANSWER | {"reviewer": "bob"}).status_code == 409
    assert desk.post(f"/v1/reviews/{review}/submit", ANSWER | {"active_seconds": 10})["booked_seconds"] == 50


def test_a_released_review_goes_back_and_its_work_is_kept(desk: Desk) -> None:
    _, review = desk.waiting()
    desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "bob"})
    _backdate_claim(desk, review, 100)
    desk.post(f"/v1/reviews/{review}/heartbeat", {"active_seconds": 7, "sequence": 0, "reviewer": "bob"})
    desk.post(f"/v1/reviews/{review}/release", {"reviewer": "bob"})
    assert desk.call("POST", f"/v1/reviews/{review}/release", {"reviewer": "bob"}).status_code == 409
    assert desk.rows("SELECT state, earlier_seconds, active_seconds FROM reviews") == [
        {"state": "open", "earlier_seconds": Decimal(7), "active_seconds": Decimal(0)}
    ]


def test_a_person_can_decide_a_quarantined_case(desk: Desk) -> None:
    case = desk.case(state="quarantined", stratum=None)
    review = desk.review(case, reasons=["quarantined"])
    desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "ada"})
    desk.post(f"/v1/reviews/{review}/submit", ANSWER)
    trace = desk.get(f"/v1/cases/{case}")
    assert (trace["state"], trace["stratum"], trace["decision"]["outcome"]) == ("decided", "unknown", "adjuster")


def test_a_person_who_stops_a_duplicate_invoice_saves_its_amount(desk: Desk) -> None:
    invoice = {"number": "4711", "currency": "EUR", "gross": "119.00", "seller": {"name": "Supplier"}}
    case, review = desk.waiting(automation="invoices", reasons=["duplicate"], data=invoice)
    desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "ada"})
    desk.post(f"/v1/reviews/{review}/submit", ANSWER | {"outcome": "reject", "reasons": []})
    lines = desk.rows("SELECT kind, amount, currency FROM ledger_lines WHERE case_id = %s ORDER BY kind", case)
    assert lines[0] == {"kind": "cash", "amount": Decimal("119.0000000000"), "currency": "EUR"}
    assert lines[1]["kind"] == "review_time"


@pytest.mark.parametrize("payable", ["9999999999.99", "10000000000", "99999999999.9999"])
def test_the_largest_invoice_that_is_let_in_can_be_stopped_and_corrected(desk: Desk, payable: str) -> None:
    """In rupiah that is a car: a line that does not hold it would leave the review open for ever."""
    invoice = {"number": "4711", "currency": "IDR", "gross": payable, "payable": payable, "seller": {"name": "Supplier"}}
    for first, then in (("reject", "post"), ("post", "reject")):
        case, review = desk.waiting(automation="invoices", reasons=["duplicate"], data=invoice)
        desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "ada"})
        desk.post(f"/v1/reviews/{review}/submit", ANSWER | {"outcome": first, "reasons": []})
        rework = desk.post(f"/v1/cases/{case}/reopen", {"reason": "Once more."})["id"]
        desk.post(f"/v1/reviews/{rework}/claim", {"reviewer": "ada"})
        desk.post(f"/v1/reviews/{rework}/submit", ANSWER | {"outcome": then, "reasons": []})
        amounts = desk.rows("SELECT amount FROM ledger_lines WHERE case_id = %s AND amount IS NOT NULL ORDER BY amount DESC", case)
        saved = Decimal(payable).quantize(Decimal("0.01"))
        assert [row["amount"] for row in amounts] == ([saved, -saved] if first == "reject" else [saved])


def test_an_audit_leaves_the_decision_as_it_is(desk: Desk) -> None:
    case = desk.case(state="decided")
    desk.decision(case, "fast_track_pay")
    review = desk.review(case, "audit")
    desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "ada"})
    first = desk.post(f"/v1/reviews/{review}/submit", ANSWER)
    assert desk.post(f"/v1/reviews/{review}/submit", ANSWER) == first
    trace = desk.get(f"/v1/cases/{case}")
    assert (trace["outcome"], trace["reviews"][0]["outcome"], trace["blinded"]) == ("fast_track_pay", "adjuster", False)


@pytest.mark.parametrize("verb", ["claim", "release", "submit", "heartbeat"])
def test_a_review_that_does_not_exist_is_not_found(desk: Desk, verb: str) -> None:
    body = {"submit": ANSWER, "heartbeat": {"active_seconds": 1, "sequence": 1}}.get(verb, {})
    assert desk.call("POST", f"/v1/reviews/{uuid7()}/{verb}", body).status_code == 404
