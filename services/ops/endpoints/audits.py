"""Second looks at automatic decisions, and the brakes that they pulled."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from services.ops.endpoints.access import Analyst, Operator
from services.ops.endpoints.queries import AutomationFilter, Name, page
from services.ops.repository import audit
from services.ops.repository import audits as stored
from services.ops.schemas.audits import Audit, AuditState, Brake, BrakeRelease
from services.ops.service import second_looks
from shared.web.pagination import Cursor, Cursored, Limit, Page
from shared.web.problem import PROBLEMS

router = APIRouter(prefix="/v1", tags=["audits"], responses=dict(PROBLEMS))


@router.get("/audits", summary="Decisions drawn for a second look, the latest first")
def listing(
    session: Analyst,
    *,
    automation: AutomationFilter = None,
    state: Annotated[AuditState | None, Query()] = None,
    cursor: Cursored = None,
    limit: Limit = 50,
) -> Page[Audit]:
    """Their reviews are in the queue, kind `audit`: round 0 is the second look, round 1 the third where the first two differ."""
    with session.transaction() as connection:
        found = stored.page(connection, automation, state, Cursor.decode(cursor), limit + 1)
    return page(found, limit, lambda one: (one.decided_at, one.case_id))


@router.get("/brakes", summary="Brakes, the latest first")
def brakes(session: Analyst, automation: AutomationFilter = None, cursor: Cursored = None, limit: Limit = 50) -> Page[Brake]:
    with session.transaction() as connection:
        found = stored.brakes(connection, automation, Cursor.decode(cursor), limit + 1)
    return page(found, limit, lambda brake: (brake.braked_at, brake.id))


@router.post("/automations/{name}/release-brake", summary="Let tiers decide again")
def release(session: Operator, name: Name, order: BrakeRelease) -> Brake:
    """Only a person may. The evidence against the automation starts anew; cases that wait for people stay with them."""
    with session.transaction() as connection:
        by = audit.name_of_key(connection, session.principal.key_id)
        return second_looks.release_brake(connection, session.author, name, by, order.note)
