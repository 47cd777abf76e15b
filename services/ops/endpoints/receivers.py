"""Endpoints: where decisions go."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from services.ops.endpoints.access import Integrator
from services.ops.endpoints.queries import page
from services.ops.repository import integration as stored
from services.ops.schemas.integration import Endpoint, EndpointChange, EndpointCreated, NewEndpoint, Rotation, SecretCreated, SecretSummary
from services.ops.service import integration
from shared.web.pagination import Cursor, Cursored, Limit, Page
from shared.web.problem import PROBLEMS

router = APIRouter(prefix="/v1/endpoints", tags=["endpoints"], responses=dict(PROBLEMS))


@router.get("", summary="Endpoints, oldest first")
def listing(session: Integrator, cursor: Cursored = None, limit: Limit = 50) -> Page[Endpoint]:
    with session.transaction() as connection:
        found = stored.endpoints(connection, Cursor.decode(cursor), limit + 1)
    return page(found, limit, lambda endpoint: (endpoint.created_at, endpoint.id))


@router.post("", status_code=201, summary="Create an endpoint; its secret is shown this once")
def create(session: Integrator, wanted: NewEndpoint) -> EndpointCreated:
    """It receives what happens from now on of the kinds in `events` (decisions where it is left out), signed as Standard Webhooks says.

    Messages about savings are figures: a key that may name them also has the role executive or operator, or is an admin's.
    """
    with session.transaction() as connection:
        return integration.create_endpoint(connection, session.author, session.ops.vault, wanted, reads_figures=session.reads_figures)


@router.get("/{endpoint_id}", summary="One endpoint")
def show(session: Integrator, endpoint_id: UUID) -> Endpoint:
    with session.transaction() as connection:
        return stored.endpoint(connection, endpoint_id)


@router.patch("/{endpoint_id}", summary="Change, disable or enable an endpoint")
def change(session: Integrator, endpoint_id: UUID, wanted: EndpointChange) -> Endpoint:
    """Enabling forgets its failures.

    Where an endpoint receives messages about savings, ever has or will, all but its state is for keys that may read figures: see creation.
    """
    with session.transaction() as connection:
        return integration.change_endpoint(connection, session.author, endpoint_id, wanted, reads_figures=session.reads_figures)


@router.delete("/{endpoint_id}", status_code=204, summary="Delete an endpoint and its secrets")
def delete(session: Integrator, endpoint_id: UUID) -> Response:
    with session.transaction() as connection:
        integration.delete(connection, session.author, "endpoint", endpoint_id)
    return Response(status_code=204)


@router.get("/{endpoint_id}/secrets", summary="Signing secrets, without the secrets")
def secrets(session: Integrator, endpoint_id: UUID) -> list[SecretSummary]:
    with session.transaction() as connection:
        return integration.secrets(connection, "endpoint", endpoint_id)


@router.post("/{endpoint_id}/secrets", status_code=201, summary="Rotate the signing secret; the new one is shown this once")
def rotate(session: Integrator, endpoint_id: UUID, wanted: Rotation) -> SecretCreated:
    """Deliveries are signed with every valid secret, so the receiver may change at any time within `overlap_hours`.

    Of an endpoint that receives messages about savings, or ever has, this is for keys that may read figures.
    """
    with session.transaction() as connection:
        return integration.rotate_of_endpoint(
            connection, session.author, session.ops.vault, endpoint_id, wanted, reads_figures=session.reads_figures
        )
