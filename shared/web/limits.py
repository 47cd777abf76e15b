"""Refuses a body that is too large, too slow or compressed, while it arrives: an ASGI middleware, as frameworks read a body whole first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shared.errors import Malformed, Rejected, TooLarge, UnsupportedMedia
from shared.web import problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class TooSlow(Rejected):
    """The body did not arrive in time."""

    status = 408
    code = "too_slow"


class BodyLimit:
    """Reads at most ``limit`` bytes of a request body for at most ``seconds``, then hands it on whole."""

    def __init__(self, app: ASGIApp, limit: int, seconds: float) -> None:
        self._app = app
        self._limit = limit
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if headers.get(b"content-encoding", b"identity").lower() not in {b"", b"identity"}:
            refusal = UnsupportedMedia("Content-Encoding is not accepted; send the body uncompressed.")
            await problem.of(refusal)(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._seconds):
                body = await self._read(receive, headers.get(b"content-length"))
        except TimeoutError:
            await self._too_slow(scope, receive, send)
            return
        except Rejected as refusal:
            await problem.of(refusal)(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    async def _read(self, receive: Receive, declared: bytes | None) -> bytes:
        """The whole body.

        Raises:
            TooLarge: the rest is never read.
            Malformed: the client left before its end; half a body may well be a valid one that says something else.
        """
        if declared is not None and declared.isdigit() and int(declared) > self._limit:
            raise self._too_large()
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise Malformed("The body ended early.")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._limit:
                raise self._too_large()
            if not message.get("more_body", False):
                break
        return b"".join(parts)

    async def _too_slow(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = TooSlow(
            f"The body took longer than {self._seconds:g} seconds; send it again, or fewer events at once.", seconds=self._seconds
        )
        answer = problem.of(refusal)
        # Whoever trickles on is not listened to (RFC 9110 section 15.5.9).
        answer.headers["Connection"] = "close"
        await answer(scope, receive, send)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body is larger than {self._limit} bytes; send fewer events at once.", limit=self._limit)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
