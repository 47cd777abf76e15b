"""Health and metrics of a process without an HTTP API."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from shared.web.health import serve

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def _client(readiness: Callable[[], Mapping[str, bool]]) -> Iterator[httpx.Client]:
    with closing(serve("127.0.0.1", 0, readiness)) as server, httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        yield client


def _broken() -> Mapping[str, bool]:
    raise ConnectionError("canary-4711")


def test_it_is_alive_and_shows_its_figures() -> None:
    with _client(lambda: {"database": True}) as client:
        assert (client.get("/healthz").status_code, client.get("/healthz").text) == (200, "alive\n")
        assert "process_cpu_seconds_total" in client.get("/metrics?collect=all").text
        assert client.get("/elsewhere").status_code == 404


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
def test_readiness_is_asked_each_time_and_names_its_parts(ready: bool, status: int) -> None:  # noqa: FBT001  # a column of the table
    with _client(lambda: {"database": True, "redis": ready}) as client:
        answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (status, {"database": True, "redis": ready})


def test_a_check_that_raises_is_not_ready_and_tells_nobody_why(capfd: pytest.CaptureFixture[str]) -> None:
    with _client(_broken) as client:
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
    # Without the product's logging, whose tests are elsewhere, structlog shows tracebacks; a plain traceback of the server is the failure.
    assert "Exception occurred during processing" not in capfd.readouterr().err


def test_a_probe_that_hangs_up_leaves_the_server_alone(capfd: pytest.CaptureFixture[str]) -> None:
    with _client(lambda: {"database": True}) as client:
        for _ in range(5):
            with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                probe.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert client.get("/healthz").status_code == 200
    assert "Exception occurred during processing" not in capfd.readouterr().err


def test_a_closed_server_gives_its_port_back() -> None:
    server = serve("127.0.0.1", 0, lambda: {"database": True})
    server.close()
    with closing(serve("127.0.0.1", server.port, lambda: {"database": True})) as again:
        assert again.port == server.port
