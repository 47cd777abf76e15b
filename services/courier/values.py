"""What the parts of the courier hand to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID


class Outcome(StrEnum):
    DELIVERED = "delivered"
    """The receiver answered 2xx."""
    RETRY = "retry"
    """Failed; there will be another attempt."""
    DEAD = "dead"
    """Failed for the last time; a person may replay it."""
    RELEASED = "released"
    """Claimed but not attempted: back in the queue, and the attempt does not count."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """One delivery that this process has leased.

    Attributes:
        attempt: number of this attempt, from 1.
        leased_until: by the database's clock; the fence, because a replay counts attempts anew.
        start_before: monotonic time after which the lease is too short for an attempt.
    """

    id: UUID
    endpoint_id: UUID
    attempt: int
    url: str
    body: bytes
    traceparent: str | None
    leased_until: datetime
    start_before: float


@dataclass(frozen=True, slots=True)
class Demand:
    """How many deliveries this process can take.

    Attributes:
        rooms: at most so many of these endpoints.
        fresh: at most so many of any other endpoint.
        total: of all of them together.
    """

    rooms: Mapping[UUID, int]
    fresh: int
    total: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one attempt.

    Attributes:
        status: HTTP status, or None where none came back.
        error: short code of what went wrong where no status came back.
        retry_after: raw header, if any.
        seconds: wall time of the attempt.
        blocked: the address is not one that may be called.
    """

    status: int | None
    error: str | None = None
    retry_after: str | None = None
    seconds: float = 0.0
    blocked: bool = False

    @property
    def success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Result:
    """What the database is told about one claimed delivery.

    Attributes:
        delay: until the next attempt; None where there is none.
        gone: the receiver wants no more callbacks.
    """

    id: UUID
    endpoint_id: UUID
    attempt: int
    leased_until: datetime
    outcome: Outcome
    status: int | None = None
    error: str | None = None
    delay: timedelta | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Secret:
    endpoint_id: UUID
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Unpublished:
    """One decision that the decisions topic has not acknowledged."""

    id: UUID
    case_id: UUID
    body: bytes
    traceparent: str | None
