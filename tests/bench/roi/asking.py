"""Every question of the ROI API, asked at a steady pace whatever the answers take, of several ledgers in turns."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx

PER_SECOND = 20
# Long enough for answers that take too long to pile up.
TURN_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Question:
    """One endpoint with its parameters.

    Attributes:
        download: a file whose length is what was asked for; timed one after the other and held to no target.
    """

    path: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    download: bool = False

    @property
    def name(self) -> str:
        asked = "&".join(f"{name}={value[:10]}" for name, value in self.parameters.items())
        return self.path.removeprefix("/v1/roi/") + (f"?{asked}" if asked else "")


@dataclass(frozen=True, slots=True)
class Asked:
    """A running process, and what it is asked. Attributes: token: of an API key."""

    url: str
    token: str
    question: Question


async def ask(all_asked: Sequence[Asked], *, requests: int) -> list[list[float]]:
    """Seconds from the moment a request was due until its answer was there, for each of those that are asked.

    `PER_SECOND` are due a second. One process is asked for seconds, then the next: the pace of a machine changes from minute to minute.

    Raises:
        AssertionError: an answer is not 200.
    """
    found: list[list[float]] = [[] for _ in all_asked]
    async with AsyncExitStack() as open_clients:
        clients = [await open_clients.enter_async_context(_client(asked)) for asked in all_asked]
        download = any(asked.question.download for asked in all_asked)
        # Connections are open, statements are known: what a service that runs for months looks like.
        for client, asked in zip(clients, all_asked, strict=True):
            for _ in range(1 if download else 10):
                await _timed(client, asked.question, time.perf_counter())
        total, turn = (3, 1) if download else (requests, PER_SECOND * TURN_SECONDS)
        for done in range(0, total, turn):
            for times, client, asked in zip(found, clients, all_asked, strict=True):
                times.extend(await _in_turn(client, asked.question, min(turn, total - done)))
    return found


@asynccontextmanager
async def _client(asked: Asked) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    async with httpx.AsyncClient(
        base_url=asked.url, headers={"Authorization": f"Bearer {asked.token}"}, timeout=60, limits=limits
    ) as client:
        yield client


async def _in_turn(client: httpx.AsyncClient, question: Question, size: int) -> list[float]:
    begin = time.perf_counter() + 0.1
    return await asyncio.gather(*(_timed(client, question, begin + number / PER_SECOND) for number in range(size)))


async def _timed(client: httpx.AsyncClient, question: Question, due: float) -> float:
    await asyncio.sleep(max(0.0, due - time.perf_counter()))
    answer = await client.get(question.path, params=dict(question.parameters))
    assert answer.status_code == 200, f"{question.name}: {answer.status_code} {answer.text[:300]}"
    return time.perf_counter() - due


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that at least this share of the values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
