"""Where events come from."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from services.ops.endpoints.access import Integrator
from services.ops.endpoints.queries import page
from services.ops.repository import integration as stored
from services.ops.schemas.integration import (
    NewSource,
    Rotation,
    SecretCreated,
    SecretSummary,
    Source,
    SourceChange,
    SourceCreated,
    Trial,
    TrialResult,
)
from services.ops.service import integration, trial
from shared.web.pagination import Cursor, Cursored, Limit, Page
from shared.web.problem import PROBLEMS

router = APIRouter(prefix="/v1/sources", tags=["sources"], responses=dict(PROBLEMS))


async def _body(request: Request) -> bytes:
    return await request.body()


@router.get("", summary="Sources, oldest first")
def listing(session: Integrator, cursor: Cursored = None, limit: Limit = 50) -> Page[Source]:
    with session.transaction() as connection:
        found = stored.sources(connection, Cursor.decode(cursor), limit + 1)
    return page(found, limit, lambda source: (source.created_at, source.id))


@router.post("", status_code=201, summary="Create a source; its secret is shown this once")
def create(session: Integrator, wanted: NewSource) -> SourceCreated:
    with session.transaction() as connection:
        return integration.create_source(connection, session.author, session.ops.vault, wanted)


@router.get("/{source_id}", summary="One source")
def show(session: Integrator, source_id: UUID) -> Source:
    with session.transaction() as connection:
        return stored.source(connection, source_id)


@router.patch("/{source_id}", summary="Change, disable or enable a source")
def change(session: Integrator, source_id: UUID, wanted: SourceChange) -> Source:
    with session.transaction() as connection:
        return integration.change_source(connection, session.author, source_id, wanted, session.ops.clock.now())


@router.delete("/{source_id}", status_code=204, summary="Delete a source and its secrets")
def delete(session: Integrator, source_id: UUID) -> Response:
    """Cases that came from it stay."""
    with session.transaction() as connection:
        integration.delete(connection, session.author, "source", source_id)
    return Response(status_code=204)


@router.post("/{source_id}/try", summary="See what the gateway would make of a payload; nothing is stored")
def try_payload(session: Integrator, source_id: UUID, wanted: Trial, body: Annotated[bytes, Depends(_body)]) -> TrialResult:
    del wanted  # checked; what counts is what was sent
    with session.transaction() as connection:
        source = stored.source(connection, source_id)
    return trial.run(source, body, session.ops.clock.now(), session.ops.time_ahead)


@router.get("/{source_id}/secrets", summary="Signing secrets, without the secrets")
def secrets(session: Integrator, source_id: UUID) -> list[SecretSummary]:
    with session.transaction() as connection:
        return integration.secrets(connection, "source", source_id)


@router.post("/{source_id}/secrets", status_code=201, summary="Rotate the signing secret; the new one is shown this once")
def rotate(session: Integrator, source_id: UUID, wanted: Rotation) -> SecretCreated:
    """The old ones stay valid for `overlap_hours`; 0 ends them now."""
    with session.transaction() as connection:
        return integration.rotate(connection, session.author, session.ops.vault, ("source", source_id), wanted)
