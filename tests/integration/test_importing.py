"""`recoup import` against a real HTTP server: batches within the limits, patience with an outage, and a word about every refused line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from services.cli.importing import app
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typer.testing import Result

BATCH = "application/cloudevents-batch+json"
BODY_LIMIT = 256 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    content_type: str
    key: str
    body: bytes

    @property
    def events(self) -> list[dict[str, Any]]:
        found = json.loads(self.body)
        return found if self.content_type == BATCH else [found]


Answer = tuple[int, bytes]
Behaviour = Callable[[Request, int], Answer]


def _accept(request: Request, _count: int) -> Answer:
    """As the gateway: all or nothing, and what is bad is a problem."""
    if any("bad" in event for event in request.events):
        detail = {"detail": "no [/such] type", "errors": [{"field": "type", "problem": "unknown"}]}
        return 422, json.dumps(detail).encode()
    return 202, json.dumps({"events": [{"id": event["id"], "status": "accepted"} for event in request.events]}).encode()


@dataclass
class Gateway:
    behave: Behaviour = _accept
    port: int = 0
    requests: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def _gateway(behave: Behaviour = _accept) -> Iterator[Gateway]:
    gateway = Gateway(behave)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # the standard library's name
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = Request(self.headers["Content-Type"], self.headers["Authorization"], body)
            gateway.requests.append(request)
            status, answer = gateway.behave(request, len(gateway.requests))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the standard library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        gateway.port = server.server_port
        Thread(target=server.serve_forever, daemon=True).start()
        yield gateway
        server.shutdown()


def _file(folder: Path, lines: list[str], name: str = "events.jsonl") -> Path:
    path = folder / name
    text = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return path


def _event(number: int, **more: object) -> str:
    return json.dumps({"specversion": "1.0", "id": str(number), "source": "/erp", "type": "t", **more})


def _import(path: Path, url: str, *options: str) -> Result:
    return CliRunner().invoke(app, ["events", str(path), "--url", url, *options], env={"RECOUP_API_KEY": "rk_a_b", "COLUMNS": "200"})


def test_every_event_is_sent_once_in_order_with_the_key(tmp_path: Path) -> None:
    with _gateway() as gateway:
        done = _import(_file(tmp_path, [_event(n) for n in range(450)]), gateway.url)
    assert done.exit_code == 0
    assert "450 accepted" in done.output
    assert [len(request.events) for request in gateway.requests] == [200, 200, 50]
    assert [int(event["id"]) for request in gateway.requests for event in request.events] == list(range(450))
    assert {(request.content_type, request.key) for request in gateway.requests} == {(BATCH, "Bearer rk_a_b")}


def test_batches_stay_within_the_gateways_limit(tmp_path: Path) -> None:
    with _gateway() as gateway:
        done = _import(_file(tmp_path, [_event(n, data="x" * (n * 997 % 60_000)) for n in range(60)]), gateway.url)
    assert done.exit_code == 0
    assert max(len(request.body) for request in gateway.requests) <= BODY_LIMIT
    assert sum(len(request.events) for request in gateway.requests) == 60
    assert len(gateway.requests) < 15


def test_a_compressed_file_and_empty_lines_are_read(tmp_path: Path) -> None:
    with _gateway() as gateway:
        done = _import(_file(tmp_path, [_event(1), "", "  ", _event(2)], "events.jsonl.gz"), gateway.url)
    assert done.exit_code == 0
    assert "2 accepted" in done.output
    assert len(gateway.requests) == 1


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_a_gateway_that_is_busy_is_asked_again_with_the_same_bytes(tmp_path: Path, status: int) -> None:
    with _gateway(lambda request, count: (status, b"{}") if count <= 2 else _accept(request, count)) as gateway:
        done = _import(_file(tmp_path, [_event(1)]), gateway.url)
    assert done.exit_code == 0
    assert len(gateway.requests) == 3
    assert len({request.body for request in gateway.requests}) == 1


def test_a_refused_line_is_named_and_its_neighbours_arrive(tmp_path: Path) -> None:
    with _gateway() as gateway:
        done = _import(_file(tmp_path, [_event(1), "", _event(2, bad=True), _event(3)]), gateway.url)
    assert done.exit_code == 1
    assert "line 3 refused (422): no [/such] type" in done.output
    assert "(type: unknown)" in done.output
    assert "2 accepted, 1 refused" in done.output


def test_a_refusal_that_is_no_json_is_reported_too(tmp_path: Path) -> None:
    with _gateway(lambda _request, _count: (400, b"<html>bad</html>")) as gateway:
        done = _import(_file(tmp_path, [_event(1)]), gateway.url)
    assert done.exit_code == 1
    assert "line 1 refused (400): Bad Request" in done.output


def test_duplicates_are_told_apart(tmp_path: Path) -> None:
    answer = json.dumps({"events": [{"status": "duplicate"}, {"status": "accepted"}]}).encode()
    with _gateway(lambda _request, _count: (202, answer)) as gateway:
        done = _import(_file(tmp_path, [_event(1), _event(2)]), gateway.url)
    assert "1 accepted, 1 duplicate" in done.output


def test_a_refused_key_ends_the_import_at_once(tmp_path: Path) -> None:
    with _gateway(lambda _request, _count: (401, b'{"detail": "No such API key."}')) as gateway:
        done = _import(_file(tmp_path, [_event(n) for n in range(1000)]), gateway.url)
    assert done.exit_code == 2
    assert "No such API key." in done.output
    assert len(gateway.requests) == 1


def test_checking_sends_nothing(tmp_path: Path) -> None:
    done = _import(_file(tmp_path, [_event(1), _event(2)]), f"http://127.0.0.1:{free_port()}", "--check")
    assert (done.exit_code, done.output.startswith("2 events in ")) == (0, True)


def test_an_empty_file_is_nothing_to_send(tmp_path: Path) -> None:
    done = _import(_file(tmp_path, [""]), f"http://127.0.0.1:{free_port()}")
    assert done.exit_code == 0
    assert "nothing to send" in done.output
