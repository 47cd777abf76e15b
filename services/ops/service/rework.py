"""A decided case that somebody doubts: reopened, worked on by a person once more, and corrected where it was wrong.

The decision itself is never changed. Time is added to the same case, whatever comes out; cash follows the outcome that holds.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from services.ops.repository import answers, audit, cases, reviews
from services.ops.repository.answers import Answer, Work
from services.ops.repository.audit import Author
from services.ops.schemas.reviews import ReviewSubmission, ReviewSummary
from services.ops.service import closing
from shared.automations import registry
from shared.casework.notices import restated, tell
from shared.casework.repository import open_reviews, record_correction
from shared.casework.restating import CORRECTED, restate, saved_cash
from shared.casework.values import Correction, NewReview, ReviewKind
from shared.errors import Conflict
from shared.ids import uuid7
from shared.ledger import posting
from shared.money import Money

if TYPE_CHECKING:
    from sqlalchemy import Connection


def reopen(connection: Connection, author: Author, case_id: UUID, reason: str) -> ReviewSummary:
    """Ask a person to look at a decided case again.

    Raises:
        NotFound: no such case.
        Conflict: it is not decided, or is reopened already.
    """
    case = cases.lock(connection, case_id)
    held = answers.holds(connection, case_id)
    if case["state"] != "decided" or held is None:
        raise Conflict("This case is not decided yet; there is nothing to reopen.", state=case["state"])
    if reviews.waiting(connection, case_id, ReviewKind.REWORK.value):
        raise Conflict("This case is reopened already; submit that review.")
    proposal = {"outcome": held.outcome, "attributes": held.attributes}
    automation = str(case["automation"])
    asked = NewReview(
        case_id=case_id, tenant_id=author.tenant, automation=automation, kind=ReviewKind.REWORK, reasons=(reason,), proposal=proposal
    )
    open_reviews(connection, [asked])
    audit.record(connection, author, "case.reopened", case_id, {"reason": reason})
    return reviews.waiting(connection, case_id, ReviewKind.REWORK.value)[0]


def close(connection: Connection, author: Author, work: Work, reviewer: str, answer: ReviewSubmission, booked: Decimal) -> None:
    """Book the time, and where the answer differs from what held, correct it with the cash it saved, and tell the business system.

    Args:
        booked: seconds, already scaled for a simulated tenant.
    """
    held = answers.holds(connection, work.case_id)
    assert held is not None
    decided = closing.decision(work, reviewer, answer, adverse=registry.automation(work.automation).outcomes[answer.outcome].adverse)
    closing.book(connection, posting.for_review(decided, booked, at=work.now))
    audit.record(connection, author, "review.reworked", work.id, answer.model_dump(mode="json"))
    if confirms(held, answer):
        return
    cash = _cash(connection, work, held, answer)
    correction = Correction(id=uuid7(), review_id=work.id, previous_outcome=held.outcome, decided=decided, cash=cash)
    record_correction(connection, correction)
    lines = restate(connection, work.case_id)
    if lines:
        told = restated(decided, subject=str(correction.id), result=CORRECTED, since=work.now, at=work.now, lines=lines)
        tell(connection, [told])


def _cash(connection: Connection, work: Work, held: Answer, answer: ReviewSubmission) -> Money | None:
    """What the corrected outcome saves; where the payload is gone, an outcome that stays saves what it saved."""
    automation, same = registry.automation(work.automation), answer.outcome == held.outcome
    data = closing.event_data(automation, work.body)
    if work.arm == "control":
        return None
    if data is None:
        return saved_cash(connection, work.case_id) if same else None
    # Why a person was asked at first counts as for the decision itself, and of an outcome that stays what was said for it.
    reasons = (*answer.reasons, *(held.reasons if same else ()), *answers.asked_because(connection, work.case_id))
    money = automation.cash(data, answer.outcome, reasons)
    return None if money is None else money.rounded()


def confirms(held: Answer, answer: ReviewSubmission) -> bool:
    """Whether the answer is what held already. Attributes that nobody typed again stay; reasons are the person's own and change nothing."""
    return answer.outcome == held.outcome and answer.attributes in ({}, held.attributes)
