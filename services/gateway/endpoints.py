"""The routes of the gateway."""

# No `from __future__ import annotations`: FastAPI resolves the annotations of routes inside a function, where names are local.
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.security import HTTPAuthorizationCredentials

from services.gateway import openapi
from services.gateway.errors import UnknownSource
from services.gateway.schemas import EventType, EventTypes, Received
from services.gateway.service import Gateway, Sender
from services.gateway.source import Source
from shared.automations.registry import automations
from shared.errors import Forbidden, Unauthenticated
from shared.events.outcome import OUTCOMES
from shared.security.apikeys import Role
from shared.web.auth import BEARER, Principal

FindPrincipal = Callable[[str], Awaitable[Principal]]
FindSource = Callable[[UUID], Awaitable[Source]]
Integrator = Callable[..., Awaitable[Principal]]
# Read by hand, so that a part of an address that is none is answered with 404.
SourceId = Annotated[str, Path(json_schema_extra={"format": "uuid"})]

_RECEIVED: dict[int | str, dict[str, Any]] = {200: {"model": Received, "description": "All of it was there already; nothing changed."}}


def router(gateway: Gateway, find_principal: FindPrincipal, find_source: FindSource, per_minute: int) -> APIRouter:
    """The routes.

    Args:
        find_principal: raises Unauthenticated for a key that is not valid.
        find_source: raises NotFound.
        per_minute: events that a webhook sender is promised in the handshake.
    """
    routes = APIRouter(tags=["events"])

    integrator = _integrator(find_principal)

    @routes.post(
        "/v1/events",
        status_code=202,
        response_model=Received,
        responses={**_RECEIVED, **openapi.problems(401, 403, 408, 409, 413, 415, 422, 429, 503)},
        openapi_extra=openapi.EVENTS,
        summary="Send CloudEvents: one, a batch, or in binary mode",
    )
    async def receive_events(request: Request, principal: Annotated[Principal, Depends(integrator)]) -> Response:
        sender = Sender(principal.key_id, principal.tenant)
        return _answer(await gateway.receive(sender, request.headers, await request.body()))

    @routes.post(
        "/v1/webhooks/{source}",
        status_code=202,
        response_model=Received,
        responses={**_RECEIVED, **openapi.problems(401, 404, 408, 409, 410, 413, 415, 422, 429, 503)},
        openapi_extra=openapi.WEBHOOK,
        summary="Receive a webhook signed after Standard Webhooks",
    )
    async def receive_webhook(source: SourceId, request: Request) -> Response:
        return _answer(await gateway.receive_webhook(await find_source(_source_id(source)), request.headers, await request.body()))

    routes.include_router(_discovery(integrator, per_minute))
    return routes


def _source_id(text: str) -> UUID:
    """Raises UnknownSource: no source has an id of another form, and an address that was copied by half is no fault of the body."""
    try:
        return UUID(text)
    except ValueError:
        raise UnknownSource from None


def _discovery(integrator: Integrator, per_minute: int) -> APIRouter:
    """What a sender may ask before it sends."""
    routes = APIRouter()

    @routes.options("/v1/events", status_code=204, summary="CloudEvents webhook handshake")
    async def allow_sender(request: Request) -> Response:
        """Any origin may ask: what it sends still needs a key."""
        return _allowed(request, per_minute)

    @routes.options("/v1/webhooks/{source}", status_code=204, summary="CloudEvents webhook handshake of a source")
    async def allow_source(source: SourceId, request: Request) -> Response:  # noqa: ARG001  # so that the document names it
        """Any origin may ask, about any source: what it sends still needs a signature."""
        return _allowed(request, per_minute)

    @routes.get("/v1/event-types", responses=openapi.problems(401, 403, 503), summary="Event types that an automation handles")
    async def event_types(_principal: Annotated[Principal, Depends(integrator)]) -> EventTypes:
        return EventTypes(
            items=[
                EventType(type=a.event_type, automation=a.name, title=a.title, data_schema=a.data_model.model_json_schema())
                for a in (*automations().values(), OUTCOMES)
            ]
        )

    return routes


def _allowed(request: Request, per_minute: int) -> Response:
    headers = {"Allow": "POST, OPTIONS"}
    if "webhook-request-origin" in request.headers:
        headers |= {"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": str(per_minute)}
    return Response(status_code=204, headers=headers)


def _integrator(find_principal: FindPrincipal) -> Integrator:
    async def integrator(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)] = None) -> Principal:
        if credentials is None:
            raise Unauthenticated("Send an API key: `Authorization: Bearer rk_…`.")
        principal = await find_principal(credentials.credentials)
        if not principal.may(Role.INTEGRATOR):
            raise Forbidden("This key lacks the role integrator.", needs=[Role.INTEGRATOR, Role.ADMIN])
        return principal

    return integrator


def _answer(received: Received) -> Response:
    return Response(received.model_dump_json(), status_code=received.http_status, media_type="application/json")
