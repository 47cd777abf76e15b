"""Sends one signed request to one checked address.

A client of its own on h11: redirects, proxies and `.netrc` from the environment, cookies and decompression do not exist here, the address
that was checked is the address that is connected to, and a delivery costs 0.5 ms of CPU (3.7 ms with the pool that httpx uses, httpcore
1.0.9, measured with four receivers on loopback).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import h11

from services.courier.connection import Connection
from services.courier.values import Reply
from shared.security import guard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import timedelta
    from pathlib import Path

    from services.courier.connection import Headers
    from shared.clock import Clock
    from shared.security.guard import Policy, Target

    Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
    Origin = tuple[str, str, int]

# Answers are read only so that the connection can be used again.
_MOST_RESPONSE_BYTES = 64 * 1024
_DRAIN_SECONDS = 1.0
# Shorter than the five seconds after which common servers close: a request must not meet a closing connection.
_KEPT_SECONDS = 4.0
_ADDRESSES_TRIED = 3
_RESOLVER_THREADS = 32


class NameNotResolved(OSError):
    pass


class ConnectFailed(OSError):
    pass


class SystemResolver:
    """Every address of a name, by the system's resolver, on threads of its own: a name server that hangs holds up no database work."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_RESOLVER_THREADS, thread_name_prefix="resolve")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Raises OSError."""
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return [str(sockaddr[0]) for *_, sockaddr in found]


class Sender:
    """Keeps idle connections by origin for a few seconds. How many requests run at once is the caller's business."""

    def __init__(
        self, policy: Policy, *, timeout: timedelta, clock: Clock, ca_file: Path | None = None, resolver: Resolver | None = None
    ) -> None:
        self._policy = policy
        self._seconds = timeout.total_seconds()
        self._clock = clock
        self._resolver = resolver or SystemResolver()
        self._context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        # Newest last, with the time since when it is idle.
        self._idle: dict[Origin, list[tuple[float, Connection]]] = defaultdict(list)

    async def post(self, url: str, headers: Headers, body: bytes) -> Reply:
        """One attempt, within the total timeout. Never raises for what the network or the receiver does."""
        began = self._clock.monotonic()
        try:
            target = guard.target(url, self._policy)
            async with asyncio.timeout(self._seconds):
                connection, response = await self._ask(target, headers, body)
        except guard.Blocked as refusal:
            return Reply(None, f"blocked: {refusal.message}", seconds=self._clock.monotonic() - began, blocked=True)
        except (OSError, UnicodeError, h11.ProtocolError) as failure:
            return Reply(None, _code(failure), seconds=self._clock.monotonic() - began)
        seconds = self._clock.monotonic() - began
        await self._keep(target, connection)
        return Reply(response.status_code, None, _retry_after(response), seconds)

    def close(self) -> None:
        for origin in list(self._idle):
            for _, connection in self._idle.pop(origin):
                connection.close()

    def close_idle(self) -> None:
        """Close what nobody has used for a while."""
        oldest = self._clock.monotonic() - _KEPT_SECONDS
        for origin, kept in list(self._idle.items()):
            for since, connection in kept:
                if since < oldest:
                    connection.close()
            self._idle[origin] = [(since, connection) for since, connection in kept if since >= oldest]
            if not self._idle[origin]:
                del self._idle[origin]

    async def _ask(self, target: Target, headers: Headers, body: bytes) -> tuple[Connection, h11.Response]:
        request = h11.Request(
            method="POST", target=target.path, headers=[(b"Host", _host(target)), *headers, (b"Content-Length", str(len(body)).encode())]
        )
        connection = self._reusable(target) or await self._connect(target)
        try:
            return connection, await connection.ask(request, body)
        except BaseException:
            connection.close()
            raise

    def _reusable(self, target: Target) -> Connection | None:
        kept = self._idle.get(_origin(target), [])
        while kept:
            since, connection = kept.pop()
            if connection.is_usable and self._clock.monotonic() - since < _KEPT_SECONDS:
                return connection
            connection.close()
        return None

    async def _connect(self, target: Target) -> Connection:
        """Resolve once, check every address, connect to a checked one under the customer's name. Raises OSError or guard.Blocked."""
        try:
            found = await self._resolver(target.host, target.port)
        except OSError as error:
            raise NameNotResolved from error
        addresses = guard.checked(found, target.port, self._policy)[:_ADDRESSES_TRIED]
        context = self._context if target.scheme == "https" else None
        failure: OSError | None = None
        for address in addresses:
            try:
                async with asyncio.timeout(self._seconds / len(addresses)):
                    return await Connection.open(address, target.port, context=context, name=target.host)
            except OSError as error:
                failure = error
        raise failure if isinstance(failure, ssl.SSLError | TimeoutError) else ConnectFailed from failure

    async def _keep(self, target: Target, connection: Connection) -> None:
        """The status counts; a body that is long, slow or broken costs only the connection."""
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                await connection.finish(_MOST_RESPONSE_BYTES)
        except (OSError, h11.ProtocolError):
            connection.close()
            return
        if connection.is_usable:
            self._idle[_origin(target)].append((self._clock.monotonic(), connection))
        else:
            connection.close()


def _origin(target: Target) -> Origin:
    return target.scheme, target.host, target.port


def _host(target: Target) -> bytes:
    name = f"[{target.host}]" if ":" in target.host else target.host
    usual = {"https": 443, "http": 80}[target.scheme] == target.port
    return (name if usual else f"{name}:{target.port}").encode()


def _retry_after(response: h11.Response) -> str | None:
    return next((value.decode("latin-1") for name, value in response.headers if name == b"retry-after"), None)


def _code(failure: Exception) -> str:
    match failure:
        case TimeoutError():
            return "timeout"
        case NameNotResolved():
            return "name_not_resolved"
        case ConnectFailed():
            return "connection_failed"
        case ssl.SSLError():
            return "tls_failed"
        case OSError():
            return "connection_lost"
        case _:
            return "protocol_error"
