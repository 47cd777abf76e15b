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


log = structlog.get_logger()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002  # the standard library's signature
        """A probe that hangs up early is no news, and the standard library's answer is a traceback with the error's message on stderr."""
        log.warning("health_request_failed", exc_info=sys.exception())


class HealthServer:
    """Answers ``/healthz``, ``/readyz`` and ``/metrics`` from a daemon thread until closed."""

    def __init__(self, host: str, port: int, readiness: Callable[[], Mapping[str, bool]]) -> None:
        self._server = _Server((host, port), _handler(readiness))
        self._thread = Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


def serve(host: str, port: int, readiness: Callable[[], Mapping[str, bool]]) -> HealthServer:
    """Start answering; port 0 takes a free one. Ends the process with status 1 where the port is taken."""
    try:
        return HealthServer(host, port, readiness)
    except OSError as error:
        log.critical("cannot_listen", host=host, port=port, reason=error.strerror)
        raise SystemExit(1) from None


def _handler(readiness: Callable[[], Mapping[str, bool]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        # A client that says nothing holds a thread no longer than this; seconds.
        timeout = 10

        def do_GET(self) -> None:  # the standard library's name
            match self.path.partition("?")[0]:
                case "/healthz":
                    self._answer(200, b"alive\n", "text/plain")
                case "/readyz":
                    parts = _asked(readiness)
                    self._answer(200 if all(parts.values()) else 503, json.dumps(parts).encode(), "application/json")
                case "/metrics":
                    self._answer(200, *exposition())
                case _:
                    self._answer(404, b"not found\n", "text/plain")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the standard library's name
            """Probes are not worth a log line."""

        def _answer(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _asked(readiness: Callable[[], Mapping[str, bool]]) -> dict[str, bool]:
    """A check that raises says no: silence would look like a process that hangs."""
    try:
        return dict(readiness())
    except Exception:  # whatever it is, the answer is the same
        log.warning("readiness_check_failed", exc_info=True)
        return {"check": False}
