"""What business systems said later about cases."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import ConfigDict

from services.ops.endpoints.access import Engineer
from services.ops.endpoints.queries import page
from services.ops.repository import outcomes
from services.ops.schemas.outcomes import LateOutcome, OutcomeSearch
from shared.web.pagination import Cursor, Cursored, Limit, Page
from shared.web.problem import PROBLEMS

router = APIRouter(prefix="/v1", tags=["outcomes"], responses=dict(PROBLEMS))


class _Filters(OutcomeSearch):
    model_config = ConfigDict(extra="forbid")

    cursor: Cursored = None
    limit: Limit = 50


@router.get("/outcomes", summary="Late outcomes of cases, the latest received first")
def listing(session: Engineer, wanted: Annotated[_Filters, Query()]) -> Page[LateOutcome]:
    """Whether each has found its case, and how many ledger lines it moved; `lines` of the case show which."""
    filters = OutcomeSearch.model_validate(wanted.model_dump(exclude={"cursor", "limit"}))
    with session.transaction() as connection:
        found = outcomes.page(connection, filters, Cursor.decode(wanted.cursor), wanted.limit + 1)
    return page(found, wanted.limit, lambda one: (one.received_at, one.id))
