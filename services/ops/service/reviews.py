"""The work of people: claim, heartbeat, release, submit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from services.ops.repository import answers, reviews
from services.ops.repository import clocks as clock_sums
from services.ops.repository.answers import Answer, Work
from services.ops.repository.audit import Author
from services.ops.repository.reviews import Filters
from services.ops.schemas.reviews import (
    ReviewClockReport,
    ReviewClocks,
    ReviewDetail,
    ReviewHeartbeat,
    ReviewHeartbeatAnswer,
    ReviewSubmission,
    ReviewSubmitted,
)
from services.ops.service import closing, rework, second_looks
from services.ops.service.booking import Clocks, clocks
from shared.automations import registry
from shared.errors import Conflict, NotFound, Rejected
from shared.measure.human_time import Stopwatch, counted

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from shared.automations.contract import Automation


# Claiming it is no use, so nobody is told to.
_TAKEN_BACK = "This review was taken back: its case was replayed, or answered otherwise. What you worked on it is booked; take another one."
_SHARE = Decimal("0.0001")


class UnknownOutcome(Rejected):
    """This automation has no such outcome, or a person may not submit it."""

    code = "unknown_outcome"


def detail(connection: Connection, review_id: UUID) -> ReviewDetail:
    """Raises NotFound."""
    found = _details(connection, [review_id])
    if not found:
        raise NotFound
    return found[0]


def claim(connection: Connection, review_id: UUID, reviewer: str, duration: timedelta) -> ReviewDetail:
    """Take a review that nobody works on, or go on with one's own.

    Raises:
        Conflict: somebody else works on it, or it is done.
    """
    if not reviews.claim(connection, review_id, reviewer, duration):
        raise _refusal(connection, review_id, "Somebody else works on this review, or it is done; take another one.")
    return detail(connection, review_id)


def claim_next(connection: Connection, filters: Filters, reviewer: str, duration: timedelta, limit: int) -> list[ReviewDetail]:
    """The longest waiting ones; fewer than ``limit``, or none, where there are no more."""
    return _details(connection, reviews.claim_next(connection, filters, reviewer, duration, limit))


def heartbeat(connection: Connection, review_id: UUID, reviewer: str, beat: ReviewHeartbeat, duration: timedelta) -> ReviewHeartbeatAnswer:
    """Note how long somebody has worked, and keep the claim."""
    watch = reviews.stopwatch(connection, review_id, reviewer)
    if watch is None:
        raise _refusal(connection, review_id, "This claim is not yours any more; claim the review again.")
    worked = counted(watch, reviews.seconds(beat.active_seconds), beat.sequence)
    return reviews.heartbeat(connection, review_id, reviewer, beat, counted=worked, duration=duration)


def release(connection: Connection, review_id: UUID, reviewer: str) -> None:
    """Give a claim back; the work so far stays booked with the review."""
    if not reviews.release(connection, review_id, reviewer):
        raise _refusal(connection, review_id, "This claim is not yours, so you cannot give it back.")


def submit(connection: Connection, author: Author, review_id: UUID, reviewer: str, answer: ReviewSubmission) -> ReviewSubmitted:
    """Close a review, and with it its case or what holds of it: decision, callback, ledger lines. The same answer twice is one answer.

    Raises:
        NotFound: no such review.
        UnknownOutcome: not one that a person may choose.
        Conflict: the claim is not the reviewer's, another answer was given, or the case no longer waits for a person.
    """
    work = answers.lock(connection, review_id)
    if work.state == "submitted":
        return _given_before(connection, work, reviewer, answer)
    automation = registry.automation(work.automation)
    _refuse_unknown(automation, answer.outcome)
    booked = _clocks(work, reviews.stopwatch(connection, review_id, reviewer), answer)
    if not answers.submit(connection, work, reviewer, answer.outcome, (booked.active, booked.span, booked.booked)):
        raise Conflict(_TAKEN_BACK if work.state == "cancelled" else "This review is not claimed by you; claim it, then submit.")
    match work.kind:
        case "audit":
            second_looks.close(connection, author, work, reviewer, answer, booked.booked)
        case "rework":
            rework.close(connection, author, work, reviewer, answer, booked.booked)
        case "control" | "exception":
            closing.close(connection, work, reviewer, answer, booked.booked)
    return _submitted(work, reviewer, answer.outcome, booked)


def clock_report(connection: Connection, since: datetime, until: datetime) -> ReviewClockReport:
    items = [
        ReviewClocks(
            automation=automation,
            kind=kind,
            reviews=sums.reviews,
            apart=sums.apart,
            active_seconds=sums.active,
            span_seconds=sums.span,
            difference_seconds=sums.difference,
            beyond_span_seconds=sums.beyond_span,
            share=None if sums.share is None else sums.share.quantize(_SHARE),
        )
        for automation, kinds in clock_sums.disagreements(connection, since, until).items()
        for kind, sums in kinds.items()
    ]
    return ReviewClockReport(since=since, until=until, items=items)


def _clocks(work: Work, watch: Stopwatch | None, answer: ReviewSubmission) -> Clocks:
    """Whoever sent heartbeats has one more now; whoever sent none is believed for as long as the claim holds without."""
    reported = reviews.seconds(answer.active_seconds)
    span = {"claim": work.claim_seconds or work.active_seconds, "earlier": work.earlier_seconds, "time_scale": work.time_scale}
    if watch is None or watch.shown is None:
        return clocks(reported=reported, **span, trusted=work.lease_seconds or reported)
    sequence = watch.sequence + 1 if answer.sequence is None else answer.sequence
    return clocks(reported=counted(watch, reported, sequence), **span)


def _submitted(work: Work, reviewer: str, outcome: str, booked: Clocks) -> ReviewSubmitted:
    return ReviewSubmitted(
        review_id=work.id,
        case_id=work.case_id,
        outcome=outcome,
        submitted_by=reviewer,
        submitted_at=work.submitted_at or work.now,
        active_seconds=float(booked.active),
        span_seconds=float(booked.span),
        booked_seconds=float(booked.booked),
    )


def _given_before(connection: Connection, work: Work, reviewer: str, answer: ReviewSubmission) -> ReviewSubmitted:
    """A client that lost our answer asks again and gets it again; clocks are those of the first time."""
    decides = work.kind in {"control", "exception"}
    stored = answers.decided(connection, work.case_id) if decides else answers.answered(connection, work.id)
    if stored != Answer(answer.outcome, answer.reasons, answer.attributes) or work.submitted_by != reviewer:
        raise Conflict("This review was submitted before, with another answer.")
    assert work.span_seconds is not None
    assert work.booked_seconds is not None
    return _submitted(work, reviewer, answer.outcome, Clocks(work.active_seconds, work.span_seconds, work.booked_seconds))


def _refuse_unknown(automation: Automation, outcome: str) -> None:
    if outcome not in choosable(automation):
        raise UnknownOutcome(known=choosable(automation))


def choosable(automation: Automation) -> list[str]:
    return [name for name, outcome in automation.outcomes.items() if outcome.choosable]


def _details(connection: Connection, review_ids: Sequence[UUID]) -> list[ReviewDetail]:
    return [_veiled(row) for row in reviews.details(connection, review_ids)]


def _veiled(row: dict[str, Any]) -> ReviewDetail:
    """Nobody who measures or checks sees a proposal, and nobody starts to read before the clock runs.

    Whoever says which of two answers is right sees both, and not whose they are.
    """
    if row["kind"] == "control" or (row["kind"] == "audit" and row["round"] == 0):
        row |= {"reasons": [], "proposal": None}
    if row["state"] == "open":
        row["event"] = None
    installed: Iterable[str] = registry.automations()
    outcomes = choosable(registry.automation(row["automation"])) if row["automation"] in installed else []
    return ReviewDetail(**row, outcomes=outcomes)


def _refusal(connection: Connection, review_id: UUID, why: str) -> Conflict | NotFound:
    state = reviews.state(connection, review_id)
    if state is None:
        return NotFound()
    return Conflict(_TAKEN_BACK if state == "cancelled" else why)
