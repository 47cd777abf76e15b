"""Health and metrics of a process that has no HTTP API."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import structlog

from shared.web.exposition import exposition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    # Status, headers, body.
    Answer = tuple[int, Mapping[str, str], bytes]

log = structlog.get_logger()

_NOT_FOUND: Answer = (404, {"Content-Type": "text/plain", "Content-Length": "10"}, b"not found\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002  # the standard library's signature
        """A probe that hangs up early is no news, and the standard library's answer is a traceback with the error's message on stderr."""
        log.warning("health_request_failed", exc_info=sys.exception())


class HealthServer:
    """Answers ``/healthz``, ``/readyz`` and ``/metrics`` from a daemon thread until closed."""

    def __init__(self, host: str, port: int, readiness: Callable[[], Mapping[str, bool]], elsewhere: Answer, end_seconds: float) -> None:
        self._server = _Server((host, port), _handler(readiness, elsewhere))
        self._thread = Thread(target=self._server.serve_forever, args=(end_seconds,), name="health", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


def serve(
    host: str, port: int, readiness: Callable[[], Mapping[str, bool]], *, elsewhere: Answer = _NOT_FOUND, end_seconds: float = 0.5
) -> HealthServer:
    """Start answering; port 0 takes a free one. Ends the process with status 1 where the port is taken.

    Args:
        elsewhere: to whatever else is asked.
        end_seconds: that `close` may take; it wakes up so often.
    """
    try:
        return HealthServer(host, port, readiness, elsewhere, end_seconds)
    except OSError as error:
        log.critical("cannot_listen", host=host, port=port, reason=error.strerror)
        raise SystemExit(1) from None


class _Handler(BaseHTTPRequestHandler):
    readiness: Callable[[], Mapping[str, bool]]
    elsewhere: Answer
    # A client that says nothing holds a thread no longer than this; seconds.
    timeout = 10

    def do_GET(self) -> None:  # the standard library's name
        match self.path.partition("?")[0]:
            case "/healthz":
                self._answer(200, b"alive\n", "text/plain")
            case "/readyz":
                parts = _asked(self.readiness)
                self._answer(200 if all(parts.values()) else 503, json.dumps(parts).encode(), "application/json")
            case "/metrics":
                self._answer(200, *exposition())
            case _:
                self._say_elsewhere()

    def _say_elsewhere(self) -> None:
        self._write(*self.elsewhere)

    # Without the body, as `_write` does it.
    do_HEAD = do_GET  # noqa: N815  # the standard library's name
    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _say_elsewhere  # noqa: N815  # the standard library's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the standard library's name
        """Probes are not worth a log line."""

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self._write(status, {"Content-Type": content_type, "Content-Length": str(len(body))}, body)

    def _write(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _handler(readiness: Callable[[], Mapping[str, bool]], elsewhere: Answer) -> type[_Handler]:
    # A function that lies in a class would be called with the handler.
    return type("Handler", (_Handler,), {"readiness": staticmethod(readiness), "elsewhere": elsewhere})


def _asked(readiness: Callable[[], Mapping[str, bool]]) -> dict[str, bool]:
    """A check that raises says no: silence would look like a process that hangs."""
    try:
        return dict(readiness())
    except Exception:  # whatever it is, the answer is the same
        log.warning("readiness_check_failed", exc_info=True)
        return {"check": False}
