"""A client that takes its time, on the server that every API runs on: it is told so, and holds nothing for ever."""

from __future__ import annotations

import json
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import Body

from shared.clock import SystemClock
from shared.web import connection
from shared.web.app import create_app
from tests.patience import HANG_SECONDS
from tests.web_server import serving

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BODY_SECONDS = 0.5
HEADER_SECONDS = 0.5
POST = b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    monkeypatch.setattr(connection, "HEADER_SECONDS", HEADER_SECONDS)
    app = create_app(title="Test", service="test", clock=SystemClock(), readiness=dict, body_seconds=BODY_SECONDS)

    @app.post("/length")
    def length(body: bytes = Body(media_type="application/octet-stream")) -> int:
        return len(body)

    with serving(app) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        yield host, int(port)


@contextmanager
def _connected(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=HANG_SECONDS) as found:
        yield found


def _trickle(client: socket.socket, start: bytes, drops: Iterable[bytes]) -> bytes:
    """What the server says until it hangs up, while a drop comes every 50 ms."""
    client.sendall(start)
    client.settimeout(0.05)
    said = b""
    until = time.monotonic() + HANG_SECONDS
    waiting = iter(drops)
    while time.monotonic() < until:
        try:
            part = client.recv(65536)
        except TimeoutError:
            _send(client, next(waiting, b""))
            continue
        except ConnectionResetError:
            return said
        if not part:
            return said
        said += part
    pytest.fail(f"the server still listens after {HANG_SECONDS} s; it said {said!r}")


def _send(client: socket.socket, drop: bytes) -> None:
    try:
        client.sendall(drop)
    except (BrokenPipeError, ConnectionResetError):
        return


def _problem(said: bytes) -> tuple[bytes, dict[str, Any]]:
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower()
    return head, json.loads(body)


@pytest.mark.parametrize("framing", [b"Content-Length: 1000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
def test_a_body_that_trickles_is_answered_with_408_and_not_listened_to_any_longer(address: tuple[str, int], framing: bytes) -> None:
    drop = b"x" if b"Length" in framing else b"1\r\nx\r\n"
    with _connected(address) as client:
        head, found = _problem(_trickle(client, POST + framing, [drop] * 10_000))
    assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"connection: close" in head.lower()
    assert b"retry-after: " in head.lower()
    assert (found["status"], found["code"], found["seconds"]) == (408, "too_slow", BODY_SECONDS)


def test_a_body_that_stops_half_way_is_answered_with_408(address: tuple[str, int]) -> None:
    with _connected(address) as client:
        assert _problem(_trickle(client, POST + b"Content-Length: 10\r\n\r\n12345", []))[1]["code"] == "too_slow"


def test_a_body_within_its_time_arrives_whole(address: tuple[str, int]) -> None:
    with _connected(address) as client:
        said = _trickle(client, POST + b"Connection: close\r\nContent-Length: 4\r\n\r\n", [b"x"] * 4)
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert said.endswith(b"\r\n\r\n4")


def test_headers_that_trickle_are_answered_with_408(address: tuple[str, int]) -> None:
    with _connected(address) as client:
        head, found = _problem(_trickle(client, POST, [b"X: y\r\n"] * 10_000))
    assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert found["code"] == "too_slow"


def test_the_headers_of_a_later_request_have_no_more_time(address: tuple[str, int]) -> None:
    with _connected(address) as client:
        first = POST + b"Content-Length: 1\r\n\r\nx"
        said = _trickle(client, first + POST, [b"X: y\r\n"] * 10_000)
    answered, _, refused = said.partition(b"HTTP/1.1 408 ")
    assert answered.startswith(b"HTTP/1.1 200 OK\r\n")
    assert refused


def test_a_client_that_says_nothing_is_left(address: tuple[str, int]) -> None:
    with _connected(address) as client:
        assert _trickle(client, b"", []) == b""


def test_a_connection_that_is_kept_alive_is_not_cut_off(address: tuple[str, int]) -> None:
    """Idle for longer than headers may take."""
    with _connected(address) as client:
        for _ in range(2):
            client.sendall(POST + b"Content-Length: 1\r\n\r\nx")
            assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
            time.sleep(2 * HEADER_SECONDS)


def test_headers_without_end_are_answered_with_431(address: tuple[str, int]) -> None:
    with _connected(address) as client:
        said = _trickle(client, POST, [b"X: " + b"y" * 40_000 + b"\r\n"] * 10)
    head, found = _problem(said)
    assert head.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert found["code"] == "headers_too_large"


@pytest.mark.parametrize(
    "start", [b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", POST + b"Content-Length: 9999999\r\n\r\n"]
)
def test_what_trickles_after_the_answer_is_not_listened_to(address: tuple[str, int], start: bytes) -> None:
    with _connected(address) as client:
        assert _trickle(client, start, [b"x"] * 10_000).startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 413 "))


def test_requests_in_a_row_are_all_answered_also_where_the_last_one_never_ends(address: tuple[str, int]) -> None:
    whole = POST + b"Content-Length: 1\r\n\r\nx"
    with _connected(address) as client:
        said = _trickle(client, 3 * whole + POST + b"Content-Length: 9\r\n\r\n", [b"x"])
    assert (said.count(b"HTTP/1.1 200 OK\r\n"), said.count(b"HTTP/1.1 408 ")) == (3, 1)
