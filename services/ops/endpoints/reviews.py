"""The queue of reviews and the work on one of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from services.ops.endpoints.access import Analyst, Operator
from services.ops.endpoints.queries import AutomationFilter, page
from services.ops.repository import audit, reviews
from services.ops.repository.reviews import Filters
from services.ops.schemas.base import Instant
from services.ops.schemas.reviews import (
    Kind,
    ReviewClaim,
    ReviewClaimNext,
    ReviewClockReport,
    ReviewDetail,
    ReviewHeartbeat,
    ReviewHeartbeatAnswer,
    ReviewRelease,
    ReviewSubmission,
    ReviewSubmitted,
    ReviewSummary,
    State,
)
from services.ops.service import reviews as work
from services.ops.service.session import Session
from shared.web.pagination import Cursor, Cursored, Limit, Page
from shared.web.problem import PROBLEMS

if TYPE_CHECKING:
    from sqlalchemy import Connection

router = APIRouter(prefix="/v1/reviews", tags=["reviews"], responses=dict(PROBLEMS))


@router.get("", summary="The queue, oldest first")
def queue(  # query parameters
    session: Operator,
    *,
    automation: AutomationFilter = None,
    kind: Annotated[Kind | None, Query()] = None,
    state: Annotated[State | None, Query(description="Open and claimed ones where it is left out.")] = None,
    cursor: Cursored = None,
    limit: Limit = 50,
) -> Page[ReviewSummary]:
    with session.transaction() as connection:
        found = reviews.page(connection, Filters(automation, kind, state), Cursor.decode(cursor), limit + 1)
    return page(found, limit, lambda review: (review.created_at, review.id))


@router.get("/clocks", summary="How far reviewers' clocks and the server's disagree")
def clocks(
    session: Analyst,
    *,
    since: Annotated[Instant | None, Query(description="30 days before `until` where it is left out.")] = None,
    until: Annotated[Instant | None, Query(description="Now where it is left out.")] = None,
) -> ReviewClockReport:
    """By automation and kind, of reviews submitted from `since` until before `until`."""
    end = until or session.ops.clock.now()
    with session.transaction() as connection:
        return work.clock_report(connection, since or end - timedelta(days=30), end)


@router.get("/{review_id}", summary="One review, with its event once it is claimed")
def show(session: Operator, review_id: UUID) -> ReviewDetail:
    with session.transaction() as connection:
        return work.detail(connection, review_id)


@router.post("/claim-next", summary="Claim the longest waiting reviews")
def claim_next(session: Operator, order: ReviewClaimNext) -> list[ReviewDetail]:
    """Two people who ask at once get different ones; the list is shorter than `limit`, or empty, where there are no more."""
    with session.transaction() as connection:
        filters = Filters(order.automation, order.kind)
        return work.claim_next(connection, filters, _reviewer(connection, session, order.reviewer), _duration(session, order), order.limit)


@router.post("/{review_id}/claim", summary="Claim a review")
def claim(session: Operator, review_id: UUID, order: ReviewClaim) -> ReviewDetail:
    """The clock runs from here. Open reviews, one's own and those whose claim has expired can be claimed; others: 409."""
    with session.transaction() as connection:
        return work.claim(connection, review_id, _reviewer(connection, session, order.reviewer), _duration(session, order))


@router.post("/{review_id}/heartbeat", summary="Report time worked and keep the claim")
def heartbeat(session: Operator, review_id: UUID, beat: ReviewHeartbeat) -> ReviewHeartbeatAnswer:
    """Cumulative, so a lost heartbeat costs nothing and one that comes twice counts once."""
    with session.transaction() as connection:
        return work.heartbeat(connection, review_id, _reviewer(connection, session, beat.reviewer), beat, session.ops.claim_duration)


@router.post("/{review_id}/release", status_code=204, summary="Give a claim back")
def release(session: Operator, review_id: UUID, order: ReviewRelease) -> Response:
    """The time worked so far stays with the review and is booked when somebody submits it."""
    with session.transaction() as connection:
        work.release(connection, review_id, _reviewer(connection, session, order.reviewer))
    return Response(status_code=204)


@router.post("/{review_id}/submit", summary="Submit the answer")
def submit(session: Operator, review_id: UUID, answer: ReviewSubmission) -> ReviewSubmitted:
    """Decides the case, books the time and queues the callback, all or nothing.

    The same answer again gets the same response; another one: 409.
    """
    with session.transaction() as connection:
        return work.submit(connection, session.author, review_id, _reviewer(connection, session, answer.reviewer), answer)


def _reviewer(connection: Connection, session: Session, name: str | None) -> str:
    return audit.name_of_key(connection, session.principal.key_id) if name is None else name


def _duration(session: Session, order: ReviewClaim) -> timedelta:
    return session.ops.claim_duration if order.claim_seconds is None else timedelta(seconds=order.claim_seconds)
