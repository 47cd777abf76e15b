"""Builds a FastAPI application with everything that our APIs have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.concurrency import run_in_threadpool

from shared.web import docs_page, problem
from shared.web.exposition import exposition
from shared.web.limits import BodyLimit
from shared.web.observe import Observe

if TYPE_CHECKING:
    from starlette.types import Lifespan

    from shared.clock import Clock

Readiness = Callable[[], Mapping[str, bool]]

BODY_LIMIT = 256 * 1024
# 9 KB a second for the largest body: any link is faster.
BODY_SECONDS = 30.0


def create_app(  # noqa: PLR0913  # keyword-only, one call per service
    *,
    title: str,
    service: str,
    clock: Clock,
    readiness: Readiness,
    description: str = "",
    body_limit: int = BODY_LIMIT,
    body_seconds: float = BODY_SECONDS,
    lifespan: Lifespan[FastAPI] | None = None,
) -> FastAPI:
    """An application with problem+json errors, a body limit, traces, metrics and health.

    Args:
        service: label of its metrics.
        readiness: parts by name and whether each is usable now; asked on every ``/readyz``, in a thread.
        body_limit: bytes.
        body_seconds: that a body may take to arrive.
    """
    app = FastAPI(title=title, version="1", description=description, lifespan=lifespan, docs_url=None, redoc_url=None)
    problem.install(app)
    docs_page.install(app)
    _add_health(app, readiness)
    app.add_middleware(BodyLimit, limit=body_limit, seconds=body_seconds)
    app.add_middleware(Observe, service=service, clock=clock)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    return app


def _add_health(app: FastAPI, readiness: Readiness) -> None:
    @app.get("/healthz", include_in_schema=False)
    async def alive() -> Response:
        return PlainTextResponse("alive\n")

    @app.get("/readyz", include_in_schema=False)
    async def ready() -> Response:
        parts = await run_in_threadpool(readiness)
        return JSONResponse(dict(parts), status_code=200 if all(parts.values()) else 503)

    @app.get("/metrics", include_in_schema=False)
    async def figures() -> Response:
        body, content_type = exposition()
        return Response(body, media_type=content_type)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's document plus the one schema of every error."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schema = problem.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = schema
        app.openapi_schema = document
    return app.openapi_schema
