"""Versions of models and how they are rolled out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from services.ops.endpoints.access import Anyone, Operator
from services.ops.endpoints.queries import AutomationFilter, Name
from services.ops.repository import models as stored
from services.ops.schemas.base import Line
from services.ops.schemas.models import ModelChange, ModelVersion, ModelVersions, ModelWindows
from services.ops.service import models
from shared.web.problem import PROBLEMS

router = APIRouter(prefix="/v1", tags=["models"], responses=dict(PROBLEMS))

Version = Annotated[Line, Path(description="Version of an automation's models.", examples=["1.1.0"])]

Days = Annotated[int, Query(ge=1, le=400, description="So many days back.")]


@router.get("/models", summary="Versions of models that workers have, and what you have made of them")
def versions(session: Anyone, automation: AutomationFilter = None) -> ModelVersions:
    with session.transaction() as connection:
        return ModelVersions(items=stored.versions(connection, automation))


@router.get("/models/drift", summary="What each model said day by day, and whether that has changed")
def drift(session: Anyone, automation: AutomationFilter = None, days: Days = 30) -> ModelWindows:
    """An alarm is no decision: nothing stops by itself here. Look at the cases, and at what audits find."""
    with session.transaction() as connection:
        return ModelWindows(items=stored.windows(connection, automation, days))


@router.put("/models/{name}/{version}", summary="Try, promote or retire a version")
def roll_out(session: Operator, name: Name, version: Version, wanted: ModelChange) -> ModelVersion:
    """`shadow`: it says what it would do, and nobody acts on it. `canary`: it decides a share of the cases. `active`: it decides.

    One version is tried at a time. A version is promoted when it is proven to be wrong at most 1 % more often than the present one; a
    version on trial that is proven to be wrong more often is retired by itself.
    """
    with session.transaction() as connection:
        return models.roll_out(connection, session.author, name, version, wanted, session.ops.clock.now())
