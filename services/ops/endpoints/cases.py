"""Search cases, follow one through everything that happened to it, send it round again."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import ConfigDict

from services.ops.endpoints.access import Engineer, Operator
from services.ops.endpoints.queries import page
from services.ops.repository import cases
from services.ops.schemas.base import Count
from services.ops.schemas.cases import CaseSummary, Search, Trace
from services.ops.schemas.replay import BulkReplay, CaseReplayed
from services.ops.schemas.reviews import CaseReopening, ReviewSummary
from services.ops.service import replay, rework
from shared.web.pagination import Cursor, Cursored, Limit, Page
from shared.web.problem import PROBLEMS

router = APIRouter(prefix="/v1", tags=["cases"], responses=dict(PROBLEMS))


class _Filters(Search):
    model_config = ConfigDict(extra="forbid")

    cursor: Cursored = None
    limit: Limit = 50


@router.get("/cases", summary="Search cases, newest first")
def search(session: Engineer, wanted: Annotated[_Filters, Query()]) -> Page[CaseSummary]:
    filters = Search.model_validate(wanted.model_dump(exclude={"cursor", "limit"}))
    with session.transaction() as connection:
        found = cases.search(connection, filters, Cursor.decode(wanted.cursor), wanted.limit + 1)
    return page(found, wanted.limit, lambda case: (case.received_at, case.id))


@router.get("/cases/{case_id}", summary="One case with its whole trace")
def trace(session: Engineer, case_id: UUID) -> Trace:
    """Event, arm, tiers with their scores, decision, reviews, ledger lines, deliveries.

    While a control or audit review of the case is open, what would tell its reviewer what the machine proposes is withheld (`blinded`).
    """
    with session.transaction(snapshot=True) as connection:
        return cases.trace(connection, case_id)


@router.post("/cases/{case_id}/replay", summary="Send a quarantined case to the workers again")
def replay_case(session: Operator, case_id: UUID) -> CaseReplayed:
    """Its attempts start anew and its open review is cancelled. A decided case is final: 409."""
    with session.transaction() as connection:
        return replay.case(connection, session.author, case_id)


@router.post("/cases/{case_id}/reopen", status_code=201, summary="Ask a person to look at a decided case again")
def reopen(session: Operator, case_id: UUID, order: CaseReopening) -> ReviewSummary:
    """Opens a review of kind `rework`. Its time is added to the case; the decision stays, and a different answer goes out as a correction.

    Not decided yet, or reopened already: 409.
    """
    with session.transaction() as connection:
        return rework.reopen(connection, session.author, case_id, order.reason)


@router.post("/replay", summary="Send many quarantined cases to the workers again")
def replay_many(session: Operator, order: BulkReplay) -> Count:
    """The longest quarantined first; `more` is true while some are left."""
    with session.transaction() as connection:
        return replay.bulk(connection, session.author, order.automation, order.limit)
