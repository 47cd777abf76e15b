"""When to try again, and when to stop: the retry table of Standard Webhooks, jittered, with the receiver's wishes honoured."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from services.courier.values import Claimed, Outcome, Reply, Result

# Delay before each attempt; the last one is made 75:35:05 after the first.
TABLE = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
ATTEMPTS = len(TABLE)
JITTER = 0.1
# A receiver may ask for patience, but not hold a delivery for ever.
LONGEST_RETRY_AFTER = timedelta(hours=24)
# The receiver is overloaded: all its deliveries wait, at least this long.
THROTTLING = frozenset({429, 502, 504})
SHORTEST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=1)
GONE = 410


def next_delay(attempt: int, chance: float) -> timedelta | None:
    """Until the attempt after ``attempt``, or None where that was the last.

    Args:
        attempt: number of the attempt that failed, from 1.
        chance: 0..1, uniformly random; spreads the delay over ±10 %.
    """
    if attempt >= ATTEMPTS:
        return None
    return TABLE[attempt] * (1 + JITTER * (2 * chance - 1))


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """The wish of a ``Retry-After`` header (seconds or HTTP date), between zero and a day; None where absent or unreadable."""
    if header is None:
        return None
    text = header.strip()
    wish = timedelta(seconds=min(int(text), 10**9)) if text.isascii() and text.isdigit() and len(text) < 16 else _until(text, now)
    return None if wish is None else min(max(wish, timedelta(0)), LONGEST_RETRY_AFTER)


def _until(text: str, now: datetime) -> timedelta | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC) - now


def pause(reply: Reply, now: datetime) -> timedelta | None:
    """How long the whole endpoint is left alone after this reply, or None where it need not be."""
    wish = retry_after(reply.retry_after, now)
    if reply.status in THROTTLING or (reply.status == 503 and wish is not None):
        return min(max(wish or SHORTEST_PAUSE, SHORTEST_PAUSE), LONGEST_PAUSE)
    return None


def settle(delivery: Claimed, reply: Reply, *, chance: float, now: datetime) -> Result:
    """The fate of a delivery after one attempt.

    A replayed delivery whose count is already past the table gets this one attempt.
    """
    if reply.success:
        return _result(delivery, Outcome.DELIVERED, reply)
    if reply.status == GONE:
        return _result(delivery, Outcome.DEAD, reply, gone=True)
    delay = next_delay(delivery.attempt, chance)
    if delay is None:
        return _result(delivery, Outcome.DEAD, reply)
    return _result(delivery, Outcome.RETRY, reply, delay=max(delay, retry_after(reply.retry_after, now) or timedelta(0)))


def release(delivery: Claimed, delay: timedelta = timedelta(0)) -> Result:
    """Give a delivery back without an attempt."""
    return Result(delivery.id, delivery.endpoint_id, delivery.attempt, delivery.leased_until, Outcome.RELEASED, delay=delay)


def _result(delivery: Claimed, outcome: Outcome, reply: Reply, *, delay: timedelta | None = None, gone: bool = False) -> Result:
    return Result(
        id=delivery.id,
        endpoint_id=delivery.endpoint_id,
        attempt=delivery.attempt,
        leased_until=delivery.leased_until,
        outcome=outcome,
        status=reply.status,
        error=None if reply.success else reply.error or f"http_{reply.status}",
        delay=delay,
        gone=gone,
    )
