"""A simulated back office: clerks who work reviews through the ops API, as slowly as people do, at a stated scale.

It is a simulation and says so: its tenant is marked as simulated, which is the only kind whose clock may run faster than people's.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.lab.demo.tally import Tally

CLERKS = 16
# A clerk without work looks again after that; more often would only load the line that is being shown.
_IDLE_SECONDS = 0.8


@dataclass(slots=True)
class Office:
    """Attributes: scale: simulated seconds in one real second."""

    ops_url: str
    key: str
    tally: Tally
    scale: float
    progress: Callable[[], None]
    reviewed: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self) -> None:
        """All clerks, until the office is closed."""
        headers = {"Authorization": f"Bearer {self.key}"}
        limits = httpx.Limits(max_keepalive_connections=CLERKS)
        async with httpx.AsyncClient(base_url=self.ops_url, headers=headers, timeout=30, limits=limits) as client:
            await asyncio.gather(*(self._clerk(client, f"simulated-clerk-{n:02d}") for n in range(CLERKS)))

    async def _clerk(self, client: httpx.AsyncClient, name: str) -> None:
        while not self.closed.is_set():
            answer = await client.post("/v1/reviews/claim-next", json={"reviewer": name, "limit": 4})
            answer.raise_for_status()
            reviews = answer.json()
            for review in reviews:
                await self._review(client, name, review)
            if not reviews:
                await asyncio.sleep(_IDLE_SECONDS)

    async def _review(self, client: httpx.AsyncClient, name: str, review: dict[str, Any]) -> None:
        """Work for as long as this person would, then submit what a careful person decides."""
        story = self.tally.stories[review["event"]["id"]]
        helped = review["kind"] == "exception"
        seconds = story.event.exception_seconds if helped else story.event.manual_seconds
        await asyncio.sleep(seconds / self.scale)
        story.arm = "control" if review["kind"] == "control" else "automated"
        story.human_seconds += seconds
        reasons = ["duplicate"] if story.event.duplicate_of else []
        answer = await client.post(
            f"/v1/reviews/{review['id']}/submit",
            json={"reviewer": name, "outcome": story.event.truth[0], "reasons": reasons, "active_seconds": round(seconds / self.scale, 3)},
        )
        answer.raise_for_status()
        self.reviewed += 1
        self.progress()
