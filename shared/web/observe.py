"""Measures every request and continues its trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

from shared.telemetry import metrics, trace

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from shared.clock import Clock


# Some servers pass on whatever word a client puts there.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


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
        scope[trace.SCOPE_KEY] = header
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
            metrics.http_seconds.labels(self._service, *_labels(scope), status).observe(self._clock.monotonic() - started)


def _labels(scope: Scope) -> tuple[str, str]:
    """Method and route: the template, not the path, because ids would make the set of labels unbounded."""
    method = scope["method"] if scope["method"] in _METHODS else "other"
    return method, getattr(scope.get("route"), "path", "unmatched")
