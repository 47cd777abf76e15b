"""Decisions on their way to business systems."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from services.ops.endpoints.access import Engineer
from services.ops.endpoints.queries import page
from services.ops.repository import deliveries
from services.ops.schemas.base import Count
from services.ops.schemas.replay import BulkRedelivery, DeliverySummary
from services.ops.service import replay
from shared.web.pagination import Cursor, Cursored, Limit, Page
from shared.web.problem import PROBLEMS

router = APIRouter(prefix="/v1/deliveries", tags=["deliveries"], responses=dict(PROBLEMS))


@router.get("", summary="Deliveries, newest first")
def listing(
    session: Engineer,
    *,
    state: Annotated[Literal["pending", "sending", "delivered", "dead"] | None, Query()] = None,
    endpoint_id: Annotated[UUID | None, Query()] = None,
    cursor: Cursored = None,
    limit: Limit = 50,
) -> Page[DeliverySummary]:
    with session.transaction() as connection:
        found = deliveries.page(connection, state, endpoint_id, Cursor.decode(cursor), limit + 1)
    return page(found, limit, lambda delivery: (delivery.created_at, delivery.id))


@router.post("/replay", summary="Deliver many again")
def replay_many(session: Engineer, order: BulkRedelivery) -> Count:
    """Dead or delivered ones of a span of time, oldest first: same `webhook-id`, same bytes.

    Messages about savings are left out where the key may not read figures.
    """
    with session.transaction() as connection:
        return replay.many_deliveries(connection, session.author, order, reads_figures=session.reads_figures)


@router.post("/{delivery_id}/replay", status_code=202, summary="Deliver again")
def replay_one(session: Engineer, delivery_id: UUID) -> DeliverySummary:
    """A dead or delivered one, with the same `webhook-id` and the same bytes. One about savings is for keys that may read figures."""
    with session.transaction() as connection:
        return replay.delivery(connection, session.author, delivery_id, reads_figures=session.reads_figures)
