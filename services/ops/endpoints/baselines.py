"""What manual handling takes where no concurrent control says it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response

from services.ops.endpoints.access import Admin, Analyst
from services.ops.endpoints.queries import AutomationFilter, page
from services.ops.repository import baselines as stored
from services.ops.schemas.baselines import Baseline, Imported, LogBaselines, NewBaseline, Renewal, Study
from services.ops.service import baselines
from shared.web.pagination import Cursor, Cursored, Limit, Page
from shared.web.problem import PROBLEMS

_BEFORE: dict[int | str, dict[str, Any]] = {200: {"model": Imported, "description": "Stored before."}}

router = APIRouter(prefix="/v1/baselines", tags=["baselines"], responses=dict(PROBLEMS))


@router.get("", summary="What manual handling takes, newest first")
def listing(session: Analyst, automation: AutomationFilter = None, cursor: Cursored = None, limit: Limit = 50) -> Page[Baseline]:
    with session.transaction() as connection:
        found = stored.page(connection, automation, Cursor.decode(cursor), limit + 1)
    return page(found, limit, lambda baseline: (baseline.created_at, baseline.id))


@router.post("", status_code=201, summary="Declare what manual handling takes (grade D)")
def declare(session: Admin, wanted: NewBaseline) -> Baseline:
    """A declared baseline has no interval and expires after 90 days unless you say otherwise. Grades A to C are measured, not declared."""
    with session.transaction() as connection:
        return baselines.declare(connection, session.author, wanted, session.ops.clock.now())


@router.post("/log", status_code=201, responses=_BEFORE, summary="Import a log of real manual handling (grade B)")
def from_log(session: Admin, wanted: LogBaselines, response: Response) -> Imported:
    """Times per case that `recoup import baseline` has added up from work segments. The same file again stores nothing (200)."""
    with session.transaction() as connection:
        return _answered(response, baselines.from_log(connection, session.author, wanted, session.ops.clock.now()))


@router.post("/study", status_code=201, responses=_BEFORE, summary="Store a time study (grade C)")
def from_study(session: Admin, wanted: Study, response: Response) -> Imported:
    """At least 30 timed cases and the protocol they were timed by. The same study again stores nothing (200)."""
    with session.transaction() as connection:
        return _answered(response, baselines.from_study(connection, session.author, wanted, session.ops.clock.now()))


@router.post("/{baseline_id}/renew", status_code=201, summary="Let a baseline hold for another 90 days")
def renew(session: Admin, baseline_id: UUID, order: Renewal) -> Baseline:
    """Stores a new one with the same grade and times, which says why. Only the one that holds now, expired or not, can be renewed: 409."""
    with session.transaction() as connection:
        return baselines.renew(connection, session.author, baseline_id, order.reason, session.ops.clock.now())


def _answered(response: Response, imported: Imported) -> Imported:
    response.status_code = 201 if imported.created else 200
    return imported
