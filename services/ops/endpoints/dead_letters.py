"""What could not be read, and what failed too often."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from services.ops.endpoints.access import Operator
from services.ops.endpoints.queries import AutomationFilter, page
from services.ops.repository import dead_letters
from services.ops.schemas.replay import DeadLetter, DeadLetterDetail, DeadLetterResolution
from services.ops.service import replay
from shared.web.pagination import Cursor, Cursored, Limit, Page
from shared.web.problem import PROBLEMS

router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"], responses=dict(PROBLEMS))


@router.get("", summary="Poison records and quarantined cases, newest first")
def listing(  # query parameters
    session: Operator,
    *,
    automation: AutomationFilter = None,
    resolved: Annotated[bool, Query(description="Show resolved poison records as well.")] = False,
    cursor: Cursored = None,
    limit: Limit = 50,
) -> Page[DeadLetter]:
    with session.transaction() as connection:
        found = dead_letters.page(connection, automation, Cursor.decode(cursor), limit + 1, resolved=resolved)
    return page(found, limit, lambda letter: (letter.received_at, letter.id))


@router.get("/{letter_id}", summary="One of them, with its bytes")
def show(session: Operator, letter_id: UUID) -> DeadLetterDetail:
    with session.transaction() as connection:
        return dead_letters.one(connection, letter_id)


@router.post("/{letter_id}/resolve", summary="Note that a poison record has been dealt with")
def resolve(session: Operator, letter_id: UUID, resolution: DeadLetterResolution) -> DeadLetterDetail:
    """Quarantined cases are resolved by their review or a replay instead: 409."""
    with session.transaction() as connection:
        return replay.resolve(connection, session.author, letter_id, resolution.note)
