"""One client's connection: uvicorn bounds neither time nor size of headers, nor what comes after an answer; each held a socket for ever."""

from __future__ import annotations

from asyncio import BaseTransport, TimerHandle
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared.web import problem

# From the connection, or the first byte of a later request, to the end of the headers. The body has a limit of its own (`BodyLimit`).
HEADER_SECONDS: Final = 20.0
# Ours are below 2 KiB; a trace context and a proxy's may add some.
HEADER_BYTES: Final = 64 * 1024


class Connection(HttpToolsProtocol):
    """Ends what takes longer than `HEADER_SECONDS` to ask, or to end after its answer, and headers beyond `HEADER_BYTES`."""

    _deadline: TimerHandle | None = None
    _headers_complete = False
    _message_complete = True
    _header_bytes = 0

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]  # as in uvicorn itself
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # Not of the data that they begin in: what comes before them there is another request's.
        had_begun = self._in_headers
        super().data_received(data)
        if not had_begun or not self._in_headers:
            return
        self._header_bytes += len(data)
        if self._header_bytes > HEADER_BYTES:
            self._refuse(431, "headers_too_large", f"The headers are larger than {HEADER_BYTES} bytes.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._message_complete = self._headers_complete = False
        self._header_bytes = 0
        if self._deadline is None:
            self._start_deadline()

    def on_headers_complete(self) -> None:
        self._headers_complete = True
        self._stop_deadline()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._message_complete = True
        self._stop_deadline()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._message_complete and self.cycle.response_complete and self._deadline is None:
            self._start_deadline()

    @property
    def _in_headers(self) -> bool:
        return not self._message_complete and not self._headers_complete

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._too_late)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if self._in_headers:
            self._refuse(408, "too_slow", f"The headers took longer than {HEADER_SECONDS:g} seconds; send the request again.")
        else:
            self.transport.close()

    def _refuse(self, status: int, code: str, detail: str) -> None:
        """Unless an earlier request still waits for its answer: then the connection ends with that."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.flow.pause_reading()
            self.cycle.keep_alive = False
        elif not self.transport.is_closing():
            self.transport.write(_raw(status, code, detail))
            self.transport.close()


def _raw(status: int, code: str, detail: str) -> bytes:
    """A problem as bytes, for where no application has been asked."""
    answer = problem.response(status, code, detail)
    lines: list[tuple[bytes, Any]] = [*answer.raw_headers, (b"connection", b"close")]
    head = f"HTTP/1.1 {status} {problem.title(status)}\r\n".encode() + b"".join(b"%s: %s\r\n" % line for line in lines)
    return head + b"\r\n" + bytes(answer.body)
