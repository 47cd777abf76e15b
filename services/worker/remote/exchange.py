"""One HTTP request to a model: to an address that was checked, with bounds on time and size, repeated only where nothing was charged.

Redirects, proxies from the environment and cookies do not exist here. Neither bodies nor headers are ever logged.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import httpx

from services.worker.remote.model import Unavailable, Unusable
from shared.security import guard
from shared.security.guard import Policy, Target

if TYPE_CHECKING:
    from shared.clock import Clock

MOST_ANSWER_BYTES: Final = 256 * 1024
_TRIES: Final = 3
_FIRST_PAUSE: Final = 0.25
# Longer than any call may take, which has a deadline of its own.
_STALL_SECONDS: Final = 30.0
# The server said that it has not begun: asking again costs nothing.
_NOT_BEGUN: Final = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Later(Exception):
    """Nothing was charged; worth another try after ``pause`` seconds. Never leaves this module."""

    pause: float | None
    reason: str


@dataclass(slots=True)
class _Sent:
    """Whether a request has begun to leave: before that, while a name is looked up or a connection made, nothing can be charged."""

    begun: bool = False

    async def traced(self, event: str, _info: Mapping[str, object]) -> None:
        """As httpx' extension `trace` calls it."""
        self.begun = self.begun or event.endswith("send_request_headers.started")


class Exchange:
    """Connections of one model; made and used in one event loop."""

    def __init__(self, url: str, policy: Policy, clock: Clock, *, key: str | None = None, connections: int = 4) -> None:
        """Raises Blocked where the URL itself is not allowed."""
        self._target = guard.target(url.rstrip("/"), policy)
        self._policy = policy
        self._clock = clock
        self._headers = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "recoup"}
        if key:
            self._headers["authorization"] = f"Bearer {key}"
        self._connections = connections
        self._client: httpx.AsyncClient | None = None

    async def post(self, path: str, body: bytes, seconds: float) -> bytes:
        """The body of a 2xx answer.

        Args:
            path: below the path of the URL, starts with ``/``.

        Raises:
            Unavailable: no answer in time, or one that says so.
            Unusable: it is larger than an answer may be.
            Blocked: the name resolves to an address that the policy does not allow.
        """
        deadline, sent = self._clock.monotonic() + seconds, _Sent()
        try:
            async with asyncio.timeout(seconds):
                return await self._patiently(path, body, deadline, sent)
        except TimeoutError:
            raise Unavailable("remote_timeout" if sent.begun else "remote_unreachable", charged=sent.begun) from None

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _patiently(self, path: str, body: bytes, deadline: float, sent: _Sent) -> bytes:
        pause = _FIRST_PAUSE
        for number in range(_TRIES):
            sent.begun = False
            try:
                return await self._once(path, body, number, sent)
            except Later as later:
                pause = max(pause * 2, later.pause or 0.0)
                if number == _TRIES - 1 or self._clock.monotonic() + pause >= deadline:
                    raise Unavailable(later.reason, charged=False) from None
            await asyncio.sleep(pause)
        raise AssertionError  # the last try returns or raises

    async def _once(self, path: str, body: bytes, number: int, sent: _Sent) -> bytes:
        address = await self._address(number)
        # Connected to by address, asked for by name, and the certificate must be the name's.
        request = self._connected().build_request(
            "POST",
            self._url(address, path),
            content=body,
            headers={"host": host_header(self._target)},
            extensions={"sni_hostname": self._target.host, "trace": sent.traced},
        )
        try:
            response = await self._connected().send(request, stream=True)
            async with aclosing(response):
                return await self._body(response)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            raise Later(None, "remote_unreachable") from None
        except httpx.TimeoutException:
            raise Unavailable("remote_timeout", charged=True) from None
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError):
            raise Unavailable("remote_failed", charged=True) from None

    async def _body(self, response: httpx.Response) -> bytes:
        if response.status_code in _NOT_BEGUN:
            raise Later(self._retry_after(response.headers), "remote_overloaded")
        if response.status_code >= 500:
            raise Unavailable("remote_failed", charged=True)
        if not response.is_success:
            raise Unavailable("remote_refused", charged=False)
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MOST_ANSWER_BYTES:
                raise Unusable("too_large")
        return bytes(body)

    def _retry_after(self, headers: Mapping[str, str]) -> float | None:
        """Seconds, from either form of RFC 9110 section 10.2.3; None where it cannot be read."""
        value = headers.get("retry-after", "").strip()
        if value.isdecimal():
            return float(value[:9])
        try:
            return max(0.0, (parsedate_to_datetime(value) - self._clock.now()).total_seconds())
        except (ValueError, TypeError):
            return None

    async def _address(self, number: int) -> guard.Address:
        target = self._target
        try:
            found = await asyncio.get_running_loop().getaddrinfo(target.host, target.port, type=1)
        except OSError:
            raise Later(None, "remote_unreachable") from None
        addresses = guard.checked([str(sockaddr[0]) for *_, sockaddr in found], target.port, self._policy)
        return addresses[number % len(addresses)]

    def _url(self, address: guard.Address, path: str) -> str:
        host = f"[{address}]" if address.version == 6 else str(address)
        return f"{self._target.scheme}://{host}:{self._target.port}{self._target.path.rstrip('/')}{path}"

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            limits = httpx.Limits(max_connections=self._connections, max_keepalive_connections=self._connections, keepalive_expiry=4.0)
            self._client = httpx.AsyncClient(
                headers=self._headers, timeout=_STALL_SECONDS, trust_env=False, follow_redirects=False, limits=limits
            )
        return self._client


def host_header(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    usual = {"https": 443, "http": 80}[target.scheme]
    return host if target.port == usual else f"{host}:{target.port}"
