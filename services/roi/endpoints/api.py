"""Puts the questions together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI

from services.roi.endpoints import bridge, evidence, exports, figures, footprint, ledger, planning
from shared.web.app import create_app

if TYPE_CHECKING:
    from services.roi.service import Roi
    from shared.web.auth import Authenticator

_DESCRIPTION = """
What automation saved, measured against randomly held-out cases: at least how many hours, at which cost, on which evidence.

Hours and cash are never added up. Figures are computed from sums that are kept up to date about once a second (`computed_through`);
`/v1/roi/conservation` is exact at the moment of the answer. Decimals are strings. Errors are problem+json (RFC 9457).
"""


def api(roi: Roi, authenticator: Authenticator, *, threads: int, readiness: Callable[[], Mapping[str, bool]]) -> FastAPI:
    """The application.

    Args:
        threads: requests worked on at once: as many as there are connections, so that none waits for one in vain.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = threads
        yield

    app = create_app(title="Recoup ROI", service="roi", clock=roi.clock, readiness=readiness, description=_DESCRIPTION, lifespan=lifespan)
    app.state.roi = roi
    app.state.authenticator = authenticator
    for questions in (figures, bridge, evidence, planning, footprint, ledger, exports):
        app.include_router(questions.router)
    app.include_router(exports.board)
    return app
