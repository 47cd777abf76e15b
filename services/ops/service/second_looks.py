"""What follows from a second or third answer to a decided case: its time, what it says of the first answer, and what an error costs.

The decision stays as it is, and its callback never waited for this.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from services.ops.repository import audit, audits
from services.ops.repository.answers import Work
from services.ops.repository.audit import Author
from services.ops.schemas.audits import Brake
from services.ops.schemas.reviews import ReviewSubmission
from services.ops.service import closing
from shared.automations import registry
from shared.casework.audits import Finding, judged, record_finding
from shared.casework.notices import restated, tell
from shared.casework.repository import open_reviews
from shared.casework.restating import AUDITED, restate
from shared.casework.values import NewReview, ReviewKind
from shared.errors import Conflict
from shared.ledger import posting

if TYPE_CHECKING:
    from sqlalchemy import Connection

DISAGREEMENT = "disagreement"


def close(connection: Connection, author: Author, work: Work, reviewer: str, answer: ReviewSubmission, booked: Decimal) -> None:
    """Book the time on the case, and note what the answer says about the first one.

    Args:
        booked: seconds, already scaled for a simulated tenant.
    """
    adverse = registry.automation(work.automation).outcomes[answer.outcome].adverse
    subject = closing.decision(work, reviewer, answer, adverse=adverse)
    closing.book(connection, posting.for_review(subject, booked, at=work.now))
    audit.record(connection, author, "review.audited", work.id, answer.model_dump(mode="json"))
    drawn = audits.drawn(connection, work.case_id)
    if drawn is None:
        return
    wrong = judged(drawn.outcome, answer.outcome, round_=work.round)
    record_finding(connection, _finding(work, reviewer, answer.outcome, wrong=wrong))
    if wrong is None:
        open_reviews(connection, [_adjudication(work, {drawn.outcome, answer.outcome})])
        return
    lines = restate(connection, work.case_id)
    if lines:
        tell(connection, [restated(subject, subject=str(work.id), result=AUDITED, since=work.now, at=work.now, lines=lines)])


def release_brake(connection: Connection, author: Author, automation: str, by: str, note: str) -> Brake:
    """Let tiers decide again; the evidence starts anew.

    Raises:
        UnknownAutomation: none is installed under that name.
        Conflict: its brake is not on.
    """
    registry.automation(automation)
    brake = audits.release(connection, automation, by, note)
    if brake is None:
        raise Conflict("The brake of this automation is not on.")
    audit.record(connection, author, "brake.released", brake.id, {"automation": automation, "note": note})
    return brake


def _finding(work: Work, reviewer: str, outcome: str, *, wrong: bool | None) -> Finding:
    return Finding(
        case_id=work.case_id,
        round=work.round,
        tenant_id=work.tenant_id,
        automation=work.automation,
        review_id=work.id,
        outcome=outcome,
        wrong=wrong,
        reviewer=reviewer,
    )


def _adjudication(work: Work, answers: set[str]) -> NewReview:
    """For another person, who sees both answers and not whose they are."""
    return NewReview(
        case_id=work.case_id,
        tenant_id=work.tenant_id,
        automation=work.automation,
        kind=ReviewKind.AUDIT,
        reasons=(DISAGREEMENT,),
        proposal={"answers": sorted(answers)},
    )
