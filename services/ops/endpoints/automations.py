"""Installed automations, and what manual handling takes."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from services.ops.endpoints.access import Anyone, Operator
from services.ops.endpoints.queries import Name
from services.ops.schemas.configuration import AutomationChange, AutomationSummary
from services.ops.service import configuration
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


@router.patch("/automations/{name}", summary="Pause, resume, set shares, the error limit or the platform's price")
def change(session: Operator, name: Name, wanted: AutomationChange) -> AutomationSummary:
    """Members that are left out stay as they are. A new control share holds for events received from now on, an audit share at once."""
    with session.transaction() as connection:
        return configuration.change(connection, session.author, name, wanted)
