"""Installed automations, and what manual handling takes."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from services.ops.endpoints.access import Admin, Analyst, Anyone, Operator
from services.ops.endpoints.queries import AutomationFilter, Name, page
from services.ops.repository import configuration as stored
from services.ops.schemas.configuration import AutomationChange, AutomationSummary, Baseline, NewBaseline
from services.ops.service import configuration
from shared.web.pagination import Cursor, Cursored, Limit, Page
from shared.web.problem import PROBLEMS

router = APIRouter(prefix="/v1", tags=["automations"], responses=dict(PROBLEMS))


@router.get("/automations", summary="Installed automations as they are set for you")
def listing(session: Anyone) -> list[AutomationSummary]:
    with session.transaction() as connection:
        return configuration.automations(connection)


@router.get("/automations/{name}/schema", summary="JSON Schema of an automation's events")
def schema(session: Anyone, name: Name) -> dict[str, Any]:
    del session
    return configuration.schema(name)


@router.patch("/automations/{name}", summary="Pause, resume, set the control share or the platform's price")
def change(session: Operator, name: Name, wanted: AutomationChange) -> AutomationSummary:
    """Members that are left out stay as they are. A new control share holds for events received from now on."""
    with session.transaction() as connection:
        return configuration.change(connection, session.author, name, wanted)


@router.get("/baselines", summary="What manual handling takes, newest first")
def baselines(session: Analyst, automation: AutomationFilter = None, cursor: Cursored = None, limit: Limit = 50) -> Page[Baseline]:
    with session.transaction() as connection:
        found = stored.baselines(connection, automation, Cursor.decode(cursor), limit + 1)
    return page(found, limit, lambda baseline: (baseline.created_at, baseline.id))


@router.post("/baselines", status_code=201, summary="Declare what manual handling takes (grade D)")
def declare(session: Admin, wanted: NewBaseline) -> Baseline:
    """A declared baseline has no interval and expires after 90 days unless you say otherwise. Grades A to C are measured, not declared."""
    with session.transaction() as connection:
        return configuration.declare(connection, session.author, wanted, session.ops.clock.now())
