"""What a log in front of the inbox can know about an event before it is appended: a hint for the answer, never a reason to drop it.

Redis remembers what was appended during the last day and may not be in the inbox yet, Postgres what is in the inbox. Where one of them is
away or slow, its part is unknown and the answer is ACCEPTED instead of DUPLICATE or CONFLICT; the inbox itself knows better.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.db import unit_of_work
from shared.errors import Retryable
from shared.intake.repository import find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from shared.intake.record import Identity, Incoming
    from shared.settings import RedisSettings

log = structlog.get_logger()

REMEMBERED = timedelta(days=1)
REDIS_SECONDS = 0.1
POSTGRES_SECONDS = 0.3
# After a failure the store is not asked again for so long.
REST_SECONDS = 5.0


class _Store:
    """Whether a store is asked at all: a slow one must not slow down every append."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rests_until = 0.0

    @property
    def resting(self) -> bool:
        return time.monotonic() < self._rests_until

    def failed(self, error: BaseException) -> None:
        self._rests_until = time.monotonic() + REST_SECONDS
        log.warning("known_events_unavailable", store=self._name, error=type(error).__name__)


class KnownEvents:
    """Belongs to one asyncio loop.

    Args:
        engine: of a role that sees the inbox of one tenant per transaction.
    """

    def __init__(self, engine: Engine, settings: RedisSettings) -> None:
        self._engine = engine
        self._redis = Redis.from_url(
            settings.url.get_secret_value(), socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS, retry_on_timeout=False
        )
        self._hints = _Store("redis")
        self._inbox = _Store("postgres")
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="known")
        self._asking = 0

    async def digests(self, records: Sequence[Incoming]) -> dict[Identity, bytes]:
        """Digest of the first body, for the events that are known."""
        hinted = await self._from_redis(records)
        return hinted | await self._from_postgres([record for record in records if record.identity not in hinted])

    async def remember(self, records: Sequence[Incoming]) -> None:
        """Records that the log has acknowledged; the first body of an identity is the one that counts."""
        if self._hints.resting or not records:
            return
        try:
            async with asyncio.timeout(2 * REDIS_SECONDS), self._redis.pipeline(transaction=False) as pipeline:
                for record in records:
                    pipeline.set(_name(record), record.body_sha256, nx=True, ex=REMEMBERED)
                await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            self._hints.failed(error)

    async def close(self) -> None:
        await self._redis.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _from_redis(self, records: Sequence[Incoming]) -> dict[Identity, bytes]:
        if self._hints.resting:
            return {}
        try:
            async with asyncio.timeout(2 * REDIS_SECONDS):
                digests = await self._redis.mget([_name(record) for record in records])
        except (RedisError, OSError, TimeoutError) as error:
            self._hints.failed(error)
            return {}
        return {record.identity: digest for record, digest in zip(records, digests, strict=True) if isinstance(digest, bytes)}

    async def _from_postgres(self, records: Sequence[Incoming]) -> dict[Identity, bytes]:
        # Threads that hang on a dead connection come back by its own timeouts; until then nobody else is sent after them.
        if not records or self._inbox.resting or self._asking >= 2:
            return {}
        self._asking += 1
        question = asyncio.get_running_loop().run_in_executor(self._threads, self._find, records)
        question.add_done_callback(self._answered)
        try:
            return await asyncio.wait_for(asyncio.shield(question), POSTGRES_SECONDS)
        except (Retryable, TimeoutError) as error:
            self._inbox.failed(error)
            return {}

    def _answered(self, question: asyncio.Future[dict[Identity, bytes]]) -> None:
        self._asking -= 1
        if not question.cancelled():
            question.exception()  # seen: a late failure is nobody's any more

    def _find(self, records: Sequence[Incoming]) -> dict[Identity, bytes]:
        by_place: dict[tuple[str, bool], list[tuple[str, str]]] = defaultdict(list)
        for record in records:
            by_place[record.tenant, record.opens_case].append((record.source, record.event_id))
        found: dict[Identity, bytes] = {}
        for (tenant, cases), events in by_place.items():
            with unit_of_work(self._engine, tenant=tenant) as connection:
                found |= {(tenant, *event): digest for event, digest in find(connection, tenant, events, cases=cases).items()}
        return found


def _name(record: Incoming) -> str:
    return f"recoup:known:{record.key.hex()}"
