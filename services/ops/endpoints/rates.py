"""What figures are valued by, each from a date on."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from services.ops.endpoints.access import Admin, Analyst
from services.ops.endpoints.queries import page
from services.ops.repository import rates as stored
from services.ops.schemas.rates import NewRate, Rate, RateName
from services.ops.service import rates
from shared.web.pagination import Cursor, Cursored, Limit, Page
from shared.web.problem import PROBLEMS

router = APIRouter(prefix="/v1/rates", tags=["rates"], responses=dict(PROBLEMS))


@router.get("", summary="Rates, the latest to begin first")
def listing(session: Analyst, name: Annotated[RateName | None, Query()] = None, cursor: Cursored = None, limit: Limit = 50) -> Page[Rate]:
    """Corrected values are still there, before the row that corrects them in time and after it in the list."""
    with session.transaction() as connection:
        found = stored.page(connection, name, Cursor.decode(cursor), limit + 1)
    return page(found, limit, lambda rate: (rate.valid_from, rate.id))


@router.post("", status_code=201, summary="Set a rate from a date on, or correct one")
def set_rate(session: Admin, wanted: NewRate) -> Rate:
    """Earlier figures keep the rate of their time. Nothing is edited: a correction is one more row."""
    with session.transaction() as connection:
        return rates.set_rate(connection, session.author, wanted, session.ops.clock.now())
