"""The queue of reviews: claims, heartbeats, the submitted answer. The server's clock is the database's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import orjson

from services.ops.repository.rows import changed, many, place, rows
from services.ops.schemas.reviews import ReviewHeartbeat, ReviewHeartbeatAnswer, ReviewSummary
from shared.errors import NotFound

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from shared.web.pagination import Cursor

# A claim that expired or was released leaves its work behind: the reviewer's clock, capped by the claim's span, as always.
_LEFT_BEHIND = "least(r.active_seconds, greatest(0, extract(epoch FROM least(now(), r.claim_expires_at) - r.claimed_at)))"
_EXPIRED = "(r.state = 'claimed' AND r.claim_expires_at <= now())"
_MINE = "(r.state = 'claimed' AND r.claimed_by = %(reviewer)s AND r.claim_expires_at > now())"

_CLAIM = f"""
UPDATE reviews r SET
    state = 'claimed',
    claimed_by = %(reviewer)s,
    claimed_at = CASE WHEN {_MINE} THEN r.claimed_at ELSE now() END,
    claim_expires_at = now() + %(duration)s,
    earlier_seconds = r.earlier_seconds + CASE WHEN {_EXPIRED} THEN {_LEFT_BEHIND} ELSE 0 END,
    active_seconds = CASE WHEN {_MINE} THEN r.active_seconds ELSE 0 END
"""  # noqa: S608  # constants of this module

_CLAIM_ONE = f"{_CLAIM} WHERE r.id = %(id)s AND (r.state = 'open' OR {_EXPIRED} OR {_MINE})"  # constants of this module

_CLAIM_NEXT = f"""
WITH next AS (
    SELECT r.id FROM reviews r
    WHERE r.tenant_id = current_setting('app.tenant') AND (r.state = 'open' OR {_EXPIRED})
      AND (%(automation)s::text IS NULL OR r.automation = %(automation)s)
      AND (%(kind)s::text IS NULL OR r.kind = %(kind)s)
    ORDER BY r.created_at, r.id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
{_CLAIM} FROM next WHERE r.id = next.id RETURNING r.id
"""  # noqa: S608  # constants of this module

_PAGE = """
SELECT r.id, r.case_id, r.automation, r.kind, r.round, r.state, r.created_at, c.received_at, r.claimed_by, r.claim_expires_at
FROM reviews r JOIN cases c ON c.id = r.case_id
WHERE r.tenant_id = current_setting('app.tenant')
  AND (%(automation)s::text IS NULL OR r.automation = %(automation)s)
  AND (%(kind)s::text IS NULL OR r.kind = %(kind)s)
  AND r.state = ANY(%(states)s)
  AND (%(at)s::timestamptz IS NULL OR (r.created_at, r.id) > (%(at)s, %(last)s))
ORDER BY r.created_at, r.id LIMIT %(limit)s
"""

_DETAIL = """
SELECT r.id, r.case_id, r.automation, r.kind, r.round, r.state, r.created_at, c.received_at, r.claimed_by, r.claim_expires_at,
       r.claimed_at, r.active_seconds, r.reasons, r.proposal, p.body,
       (SELECT coalesce(max(h.sequence) + 1, 0) FROM review_heartbeats h
        WHERE h.review_id = r.id AND h.reviewer = r.claimed_by) AS next_sequence
FROM reviews r JOIN cases c ON c.id = r.case_id LEFT JOIN payloads p ON p.received_at = c.received_at AND p.case_id = c.id
WHERE r.id = ANY(%(ids)s) ORDER BY r.created_at, r.id
"""

_HEARTBEAT = """
INSERT INTO review_heartbeats (tenant_id, review_id, reviewer, active_seconds, sequence)
VALUES (current_setting('app.tenant'), %(id)s, %(reviewer)s, %(active)s, %(sequence)s)
ON CONFLICT (review_id, reviewer, sequence) DO NOTHING
"""

_RENEW = """
UPDATE reviews r SET active_seconds = greatest(r.active_seconds, %(active)s),
    claim_expires_at = greatest(r.claim_expires_at, now() + %(duration)s)
WHERE r.id = %(id)s AND r.state = 'claimed' AND r.claimed_by = %(reviewer)s
RETURNING r.claim_expires_at, r.active_seconds
"""

_RELEASE = f"""
UPDATE reviews r SET state = 'open', claimed_by = NULL, claimed_at = NULL, claim_expires_at = NULL,
    earlier_seconds = r.earlier_seconds + {_LEFT_BEHIND}, active_seconds = 0
WHERE r.id = %(id)s AND r.state = 'claimed' AND r.claimed_by = %(reviewer)s
"""  # noqa: S608  # a constant of this module

# The case first: replay and the workers lock in this order too.
_LOCK_CASE = "SELECT c.id FROM cases c WHERE c.id = (SELECT r.case_id FROM reviews r WHERE r.id = %(id)s) FOR UPDATE"

_LOCK = """
SELECT r.id, r.case_id, r.automation, r.kind, r.state, r.claimed_by, r.submitted_by, r.submitted_at, r.outcome, r.reasons AS asked_because,
       r.active_seconds, r.earlier_seconds, r.span_seconds, r.booked_seconds,
       greatest(0, extract(epoch FROM now() - r.claimed_at)) AS claim_seconds, now() AS now,
       t.time_scale, c.tenant_id, c.arm, c.stratum, c.source, c.event_id, c.event_type, c.occurred_at, c.received_at, c.traceparent, p.body
FROM reviews r JOIN cases c ON c.id = r.case_id JOIN tenants t ON t.id = c.tenant_id
LEFT JOIN payloads p ON p.received_at = c.received_at AND p.case_id = c.id
WHERE r.id = %(id)s FOR UPDATE OF r
"""

_SUBMIT = """
UPDATE reviews SET state = 'submitted', submitted_at = now(), submitted_by = %(reviewer)s, outcome = %(outcome)s,
    active_seconds = %(active)s, span_seconds = %(span)s, booked_seconds = %(booked)s, claim_expires_at = NULL
WHERE id = %(id)s AND state = 'claimed' AND claimed_by = %(reviewer)s
"""

_CANCEL_SIBLINGS = """
UPDATE reviews SET state = 'cancelled', claimed_by = NULL, claim_expires_at = NULL
WHERE case_id = %(case)s AND id <> %(id)s AND kind <> 'audit' AND state IN ('open', 'claimed')
"""

_DECIDED = "SELECT outcome, reasons, attributes FROM decisions WHERE case_id = %(case)s"
_AUDITED = "SELECT detail FROM audit_log WHERE object_id = %(id)s AND action = 'review.audited'"


@dataclass(frozen=True, slots=True)
class Filters:
    """None does not filter; without ``state`` the queue is what is open or claimed."""

    automation: str | None = None
    kind: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """A review, its case and its event, locked until the transaction ends. Seconds are those of the clock on the wall."""

    id: UUID
    case_id: UUID
    automation: str
    kind: Literal["control", "exception", "audit"]
    state: str
    claimed_by: str | None
    submitted_by: str | None
    submitted_at: datetime | None
    outcome: str | None
    asked_because: tuple[str, ...]
    active_seconds: Decimal
    earlier_seconds: Decimal
    span_seconds: Decimal | None
    booked_seconds: Decimal | None
    claim_seconds: Decimal | None
    now: datetime
    time_scale: Decimal
    tenant_id: str
    arm: Literal["automated", "control"]
    stratum: str | None
    source: str
    event_id: str
    event_type: str
    occurred_at: datetime
    received_at: datetime
    traceparent: str | None
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody submitted earlier."""

    outcome: str
    reasons: tuple[str, ...]
    attributes: dict[str, str]


def page(connection: Connection, filters: Filters, cursor: Cursor | None, limit: int) -> list[ReviewSummary]:
    states = ["open", "claimed"] if filters.state is None else [filters.state]
    values = {"automation": filters.automation, "kind": filters.kind, "states": states, **place(cursor), "limit": limit}
    return many(ReviewSummary, connection, _PAGE, values)


def claim(connection: Connection, review_id: UUID, reviewer: str, duration: timedelta) -> bool:
    """False where somebody else works on it, or nobody may any more."""
    return changed(connection, _CLAIM_ONE, {"id": review_id, "reviewer": reviewer, "duration": duration}) == 1


def claim_next(connection: Connection, filters: Filters, reviewer: str, duration: timedelta, limit: int) -> list[UUID]:
    """The longest waiting reviews that nobody else is claiming at this moment."""
    values = {"automation": filters.automation, "kind": filters.kind, "reviewer": reviewer, "duration": duration, "limit": limit}
    return [row["id"] for row in rows(connection, _CLAIM_NEXT, values)]


def details(connection: Connection, review_ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """Members of `ReviewDetail` but ``outcomes``, oldest first; ids that do not exist are left out."""
    found = [dict(row) for row in rows(connection, _DETAIL, {"ids": list(review_ids)})]
    for row in found:
        body = row.pop("body")
        row["event"] = None if body is None else orjson.loads(body)
    return found


def heartbeat(
    connection: Connection, review_id: UUID, reviewer: str, beat: ReviewHeartbeat, duration: timedelta
) -> ReviewHeartbeatAnswer | None:
    """None where the claim is not the reviewer's."""
    values = {
        "id": review_id,
        "reviewer": reviewer,
        "active": seconds(beat.active_seconds),
        "sequence": beat.sequence,
        "duration": duration,
    }
    renewed = many(ReviewHeartbeatAnswer, connection, _RENEW, values)
    if not renewed:
        return None
    changed(connection, _HEARTBEAT, values)
    return renewed[0]


def release(connection: Connection, review_id: UUID, reviewer: str) -> bool:
    return changed(connection, _RELEASE, {"id": review_id, "reviewer": reviewer}) == 1


def exists(connection: Connection, review_id: UUID) -> bool:
    return bool(rows(connection, "SELECT 1 FROM reviews WHERE id = %(id)s", {"id": review_id}))


def lock(connection: Connection, review_id: UUID) -> Work:
    """Raises NotFound."""
    key = {"id": review_id}
    rows(connection, _LOCK_CASE, key)
    found = rows(connection, _LOCK, key)
    if not found:
        raise NotFound
    row = dict(found[0])
    row["asked_because"] = tuple(row["asked_because"])
    row["body"] = None if row["body"] is None else bytes(row["body"])
    return Work(**row)


def submit(connection: Connection, work: Work, reviewer: str, outcome: str, clocks: tuple[Decimal, Decimal, Decimal]) -> bool:
    """Fence and effect in one statement; ``clocks`` are active, span and booked seconds. False where the claim is not the reviewer's."""
    active, span, booked = clocks
    values = {"id": work.id, "reviewer": reviewer, "outcome": outcome, "active": active, "span": span, "booked": booked}
    return changed(connection, _SUBMIT, values) == 1


def cancel_siblings(connection: Connection, work: Work) -> None:
    changed(connection, _CANCEL_SIBLINGS, {"id": work.id, "case": work.case_id})


def decided(connection: Connection, case_id: UUID) -> Answer | None:
    found = rows(connection, _DECIDED, {"case": case_id})
    return _answer(dict(found[0])) if found else None


def audited(connection: Connection, review_id: UUID) -> Answer | None:
    found = rows(connection, _AUDITED, {"id": str(review_id)})
    return _answer(found[0]["detail"]) if found else None


def _answer(row: dict[str, Any]) -> Answer:
    return Answer(row["outcome"], tuple(row["reasons"]), dict(row["attributes"]))


def seconds(value: float) -> Decimal:
    """Milliseconds are the finest that the tables keep."""
    return Decimal(str(round(value, 3)))
