"""Every question of the ROI API, asked at a steady pace whatever the answers take."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httpx

PER_SECOND = 20


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


async def ask(url: str, token: str, question: Question, *, requests: int) -> list[float]:
    """Seconds from the moment a request was due until its answer was there, `PER_SECOND` due a second.

    Raises:
        AssertionError: an answer is not 200.
    """
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60, limits=limits) as client:
        # Connections are open, statements are known: what a service that runs for months looks like.
        for _ in range(1 if question.download else 10):
            await _timed(client, question, time.perf_counter())
        if question.download:
            return [await _timed(client, question, time.perf_counter()) for _ in range(3)]
        begin = time.perf_counter() + 0.1
        due = [begin + number / PER_SECOND for number in range(requests)]
        return await asyncio.gather(*(_timed(client, question, moment) for moment in due))


async def _timed(client: httpx.AsyncClient, question: Question, due: float) -> float:
    await asyncio.sleep(max(0.0, due - time.perf_counter()))
    answer = await client.get(question.path, params=dict(question.parameters))
    assert answer.status_code == 200, f"{question.name}: {answer.status_code} {answer.text[:300]}"
    return time.perf_counter() - due


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that at least this share of the values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
