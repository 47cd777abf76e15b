"""Entries of the cache in Redis, which may vanish or freeze at any time: then there are only misses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from shared.clock import Clock

log = structlog.get_logger()

# A local Redis answers in well under a millisecond. One that needs longer than this costs more than the models do.
PATIENCE_SECONDS: Final = 0.05
# After a failure it is left alone: one batch in so many seconds may wait for it in vain.
FIRST_REST_SECONDS: Final = 1.0
LONGEST_REST_SECONDS: Final = 60.0


def client(url: str) -> redis.Redis:
    """Gives up at once instead of trying again."""
    return redis.Redis.from_url(
        url,
        socket_timeout=PATIENCE_SECONDS,
        socket_connect_timeout=PATIENCE_SECONDS,
        retry=Retry(NoBackoff(), 0),
        retry_on_timeout=False,
        health_check_interval=0,
    )


class RedisStore:
    """Never raises, and waits at most twice `PATIENCE_SECONDS`, then not at all for a while."""

    def __init__(self, client: redis.Redis, clock: Clock, lasts: timedelta) -> None:
        self._client, self._clock, self._lasts = client, clock, lasts
        self._rest = FIRST_REST_SECONDS
        self._resting_until = clock.monotonic()

    def get(self, keys: Sequence[str]) -> Sequence[bytes | None] | None:
        if self._is_resting():
            return None
        try:
            found = self._client.mget(list(keys))
        except (redis.RedisError, OSError) as error:
            self._failed(error)
            return None
        self._rest = FIRST_REST_SECONDS
        return cast("Sequence[bytes | None]", found)

    def put(self, entries: Mapping[str, bytes]) -> None:
        if self._is_resting():
            return
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                for key, content in entries.items():
                    pipeline.set(key, content, px=self._lasts)
                pipeline.execute()
        except (redis.RedisError, OSError) as error:
            self._failed(error)

    def _is_resting(self) -> bool:
        return self._clock.monotonic() < self._resting_until

    def _failed(self, error: Exception) -> None:
        log.warning("cache_unavailable", error=type(error).__name__, rests_seconds=self._rest)
        self._resting_until = self._clock.monotonic() + self._rest
        self._rest = min(LONGEST_REST_SECONDS, 2 * self._rest)
