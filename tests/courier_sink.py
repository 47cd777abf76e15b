"""A receiver of callbacks that misbehaves on request: a real HTTP/1.1 server on a port of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from tests.patience import HANG_SECONDS

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sink does with a request; ``drip`` sends the answer one byte per so many seconds, ``reset`` cuts the connection."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    drip: float = 0.0
    reset: bool = False


OK = Answer()


class Sink:
    """``behave`` is asked for the answer to each request; its second argument counts the requests with that message id, from 1."""

    def __init__(
        self, behave: Callable[[Received, int], Answer] = lambda _request, _count: OK, context: ssl.SSLContext | None = None
    ) -> None:
        self.behave = behave
        self.received: list[Received] = []
        self.connections = 0
        self.port = 0
        self._scheme = "http" if context is None else "https"
        self._context = context
        self._counts: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"{self._scheme}://{host}:{self.port}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)
        self._loop.close()

    def await_count(self, count: int, seconds: float = HANG_SECONDS) -> list[Received]:
        """The requests so far, once there are ``count``."""
        deadline = time.monotonic() + seconds
        while len(self.received) < count:
            assert time.monotonic() < deadline, f"{len(self.received)} of {count} requests came"
            time.sleep(0.01)
        return list(self.received)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._end.wait()
        server.close()
        talks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._exchange(reader, writer):
                pass
        writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = await _read(reader)
        self.received.append(request)
        self._counts[request.message_id] += 1
        answer = self.behave(request, self._counts[request.message_id])
        await asyncio.sleep(answer.delay)
        if answer.reset:
            return False
        for part in _parts(answer):
            writer.write(part)
            await writer.drain()
            if answer.drip:
                await asyncio.sleep(answer.drip)
        return True


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(head[0].split(" ")[1], headers, body, time.monotonic())


def _parts(answer: Answer) -> list[bytes]:
    headers = {**answer.headers, "Content-Length": str(len(answer.body))}
    lines = [f"HTTP/1.1 {answer.status} X", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    whole = "\r\n".join(lines).encode() + answer.body
    return [bytes([byte]) for byte in whole] if answer.drip else [whole]
