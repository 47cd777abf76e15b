"""Puts the nouns together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI

from services.ops.endpoints import (
    administration,
    audits,
    automations,
    baselines,
    cases,
    dead_letters,
    deliveries,
    models,
    outcomes,
    pages,
    rates,
    receivers,
    reviews,
    sources,
)
from shared.web.app import create_app

if TYPE_CHECKING:
    from services.ops.service.session import Ops

_NOUNS = (
    cases,
    outcomes,
    reviews,
    deliveries,
    dead_letters,
    automations,
    models,
    audits,
    baselines,
    rates,
    sources,
    receivers,
    administration,
)

_DESCRIPTION = """
For people who run the line: reviews, inspection of cases, replay, configuration, keys.

Every answer is about the tenant of your API key; what belongs to others does not exist here (404). Lists come in pages: pass
`next_cursor` of one page as `cursor` of the next. Errors are problem+json (RFC 9457).
"""


def api(ops: Ops, *, threads: int, readiness: Callable[[], Mapping[str, bool]]) -> FastAPI:
    """The application.

    Args:
        threads: requests worked on at the same time; as many as there are database connections, so that none waits for one in vain.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = threads
        yield

    app = create_app(
        title="Recoup operations", service="ops", clock=ops.clock, readiness=readiness, description=_DESCRIPTION, lifespan=lifespan
    )
    app.state.ops = ops
    app.include_router(pages.router)
    for noun in _NOUNS:
        app.include_router(noun.router)
    return app
