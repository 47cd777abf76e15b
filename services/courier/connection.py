"""One HTTP/1.1 connection to a receiver: h11 speaks the protocol, asyncio moves the bytes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

import h11

if TYPE_CHECKING:
    import ssl

    from shared.security.guard import Address

    Headers = list[tuple[bytes, bytes]]

_CHUNK = 64 * 1024
_MOST_HEADER_BYTES = 32 * 1024


class Connection:
    """For one request after the other; closed by its owner, and after any error."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST_HEADER_BYTES)

    @classmethod
    async def open(cls, address: Address, port: int, *, context: ssl.SSLContext | None, name: str) -> Self:
        """Connect to the address; ``name`` is what the certificate must be for. Raises OSError, of which ssl.SSLError is one."""
        return cls(*await asyncio.open_connection(str(address), port, ssl=context, server_hostname=name if context else None))

    @property
    def is_usable(self) -> bool:
        """Not closed by the other side, as far as is known, and at the start of a request."""
        return self._protocol.our_state is h11.IDLE and not self._reader.at_eof() and not self._writer.is_closing()

    async def ask(self, request: h11.Request, body: bytes) -> h11.Response:
        """Send, and wait for status and headers. Raises OSError or h11.ProtocolError."""
        events = (request, h11.Data(data=body), h11.EndOfMessage())
        self._writer.write(b"".join(self._protocol.send(event) or b"" for event in events))
        await self._writer.drain()
        while True:
            event = await self._next()
            if isinstance(event, h11.Response):
                return event

    async def finish(self, most: int) -> None:
        """Read the rest of the answer, so that the connection can be used again; gives up beyond ``most`` bytes. Raises as `ask`."""
        size = 0
        while size <= most:
            event = await self._next()
            if isinstance(event, h11.Data):
                size += len(event.data)
            elif isinstance(event, h11.EndOfMessage):
                if self._protocol.our_state is h11.DONE and self._protocol.their_state is h11.DONE:
                    self._protocol.start_next_cycle()
                return

    def close(self) -> None:
        # Without goodbyes: the receiver may be gone, and a lingering TLS shutdown would hold the socket.
        self._writer.transport.abort()

    async def _next(self) -> h11.Event:
        while True:
            event = self._protocol.next_event()
            if event is h11.NEED_DATA:
                data = await self._reader.read(_CHUNK)
                if not data and self._protocol.their_state is h11.SEND_RESPONSE:
                    raise ConnectionResetError
                self._protocol.receive_data(data)
            elif isinstance(event, h11.Event):
                return event
            else:
                raise h11.RemoteProtocolError("the receiver sent more than one answer")
