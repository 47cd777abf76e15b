"""Measures every request and continues its trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

from shared.telemetry import metrics, trace

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from shared.clock import Clock


class Observe:
    """Sets the trace of the request, answers with its ``traceparent``, and counts time by route template and status."""

    def __init__(self, app: ASGIApp, service: str, clock: Clock) -> None:
        self._app = app
        self._service = service
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        incoming = next((value for name, value in scope["headers"] if name == b"traceparent"), b"")
        header = trace.continued(incoming.decode("ascii", "replace") or None)
        token = trace.current.set(header)
        started = self._clock.monotonic()
        status = "500"

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
                headers = MutableHeaders(scope=message)
                headers["traceparent"] = header
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self._app(scope, receive, observed)
        finally:
            trace.current.reset(token)
            # The template, not the path: ids would make the label set unbounded.
            route = getattr(scope.get("route"), "path", "unmatched")
            seconds = self._clock.monotonic() - started
            metrics.http_seconds.labels(self._service, scope["method"], route, status).observe(seconds)
