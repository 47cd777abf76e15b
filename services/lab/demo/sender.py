"""Stands for the business systems that send events: real webhooks with real signatures, sent again until they are accepted."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
import orjson
from standardwebhooks import Webhook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from services.lab.demo.tally import Story, Tally

CONCURRENCY = 12
_TRY_AGAIN = {408, 429, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class WebhookSource:
    url: str
    secret: str


class Refused(Exception):
    """The gateway refused an event of the simulation."""


async def send_all(tally: Tally, sources: Mapping[str, WebhookSource], progress: Callable[[], None]) -> float:
    """Send every event; returns the seconds it took."""
    started = time.monotonic()
    stories = iter(tally.stories.values())
    async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_keepalive_connections=CONCURRENCY)) as client:
        await asyncio.gather(*(_lane(client, stories, sources, progress) for _ in range(CONCURRENCY)))
    return time.monotonic() - started


async def _lane(
    client: httpx.AsyncClient, stories: Iterator[Story], sources: Mapping[str, WebhookSource], progress: Callable[[], None]
) -> None:
    for story in stories:
        await _send(client, story, sources[story.automation])
        progress()


async def _send(client: httpx.AsyncClient, story: Story, source: WebhookSource) -> None:
    body = orjson.dumps({"id": story.event.event_id, "data": story.event.data})
    story.sent_at = time.monotonic()
    for attempt in range(10):
        answer = await client.post(source.url, content=body, headers=_signed(source.secret, story.event.event_id, body))
        if answer.status_code in {200, 202}:
            return
        if answer.status_code not in _TRY_AGAIN:
            raise Refused(f"{story.event.event_id}: {answer.status_code} {answer.text}")
        await asyncio.sleep(0.1 * 2**attempt)
    raise Refused(f"{story.event.event_id}: the gateway stayed busy")


def _signed(secret: str, event_id: str, body: bytes) -> dict[str, str]:
    now = datetime.now(UTC)  # noqa: TID251  # plays the part of another system's clock
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(event_id, now, body.decode()),
        "Content-Type": "application/json",
    }
