"""The queue of reviews: claims and heartbeats. The server's clock is the database's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from services.ops.repository.rows import changed, many, one, place, rows
from services.ops.schemas.reviews import Kind, ReviewHeartbeat, ReviewHeartbeatAnswer, ReviewSummary, State
from shared.measure.human_time import Stopwatch

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from shared.web.pagination import Cursor

# A claim that expired or was released leaves its work behind: the reviewer's clock, capped by the claim's span, as always.
LEFT_BEHIND = "least(r.active_seconds, greatest(0, extract(epoch FROM least(now(), r.claim_expires_at) - r.claimed_at)))"
_EXPIRED = "(r.state = 'claimed' AND r.claim_expires_at <= now())"
_MINE = "(r.state = 'claimed' AND r.claimed_by = %(reviewer)s AND r.claim_expires_at > now())"

# Whoever has given one of two different answers does not say which of them is right.
_NOT_OWN = """NOT (r.kind = 'audit' AND EXISTS (SELECT FROM reviews e WHERE e.case_id = r.case_id AND e.kind = 'audit' AND e.round < r.round
    AND e.submitted_by = %(reviewer)s))"""

_CLAIM = f"""
UPDATE reviews r SET
    state = 'claimed',
    claimed_by = %(reviewer)s,
    claimed_at = CASE WHEN {_MINE} THEN r.claimed_at ELSE now() END,
    claim_expires_at = now() + %(duration)s,
    earlier_seconds = r.earlier_seconds + CASE WHEN {_EXPIRED} THEN {LEFT_BEHIND} ELSE 0 END,
    active_seconds = CASE WHEN {_MINE} THEN r.active_seconds ELSE 0 END
"""  # noqa: S608  # constants of this module

_CLAIM_ONE = f"{_CLAIM} WHERE r.id = %(id)s AND (r.state = 'open' OR {_EXPIRED} OR {_MINE}) AND {_NOT_OWN}"  # constants of this module

_CLAIM_NEXT = f"""
WITH next AS (
    SELECT r.id FROM reviews r
    WHERE r.tenant_id = current_setting('app.tenant') AND (r.state = 'open' OR {_EXPIRED})
      AND (%(automation)s::text IS NULL OR r.automation = %(automation)s)
      AND (%(kind)s::text IS NULL OR r.kind = %(kind)s) AND {_NOT_OWN}
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

_WAITING = """
SELECT r.id, r.case_id, r.automation, r.kind, r.round, r.state, r.created_at, c.received_at, r.claimed_by, r.claim_expires_at
FROM reviews r JOIN cases c ON c.id = r.case_id
WHERE r.case_id = %(case)s AND r.kind = %(kind)s AND r.state IN ('open', 'claimed')
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

# Numbers of heartbeats go on over claims, so that an old one is not taken for a new one; what they show begins anew with each claim.
_STOPWATCH = """
SELECT r.active_seconds AS counted, coalesce(h.sequence, -1) AS sequence,
       CASE WHEN h.created_at >= r.claimed_at THEN h.active_seconds END AS shown
FROM reviews r LEFT JOIN LATERAL (
    SELECT b.sequence, b.active_seconds, b.created_at FROM review_heartbeats b
    WHERE b.review_id = r.id AND b.reviewer = %(reviewer)s ORDER BY b.sequence DESC LIMIT 1
) h ON true
WHERE r.id = %(id)s AND r.state = 'claimed' AND r.claimed_by = %(reviewer)s FOR UPDATE OF r
"""

_RENEW = """
UPDATE reviews r SET active_seconds = %(counted)s, claim_expires_at = greatest(r.claim_expires_at, now() + %(duration)s)
WHERE r.id = %(id)s
RETURNING r.claim_expires_at, r.active_seconds
"""

_RELEASE = f"""
UPDATE reviews r SET state = 'open', claimed_by = NULL, claimed_at = NULL, claim_expires_at = NULL,
    earlier_seconds = r.earlier_seconds + {LEFT_BEHIND}, active_seconds = 0
WHERE r.id = %(id)s AND r.state = 'claimed' AND r.claimed_by = %(reviewer)s
"""  # noqa: S608  # a constant of this module


@dataclass(frozen=True, slots=True)
class Filters:
    """None does not filter; without ``state`` the queue is what is open or claimed."""

    automation: str | None = None
    kind: str | None = None
    state: str | None = None


def page(connection: Connection, filters: Filters, cursor: Cursor | None, limit: int) -> list[ReviewSummary]:
    states = ["open", "claimed"] if filters.state is None else [filters.state]
    values = {"automation": filters.automation, "kind": filters.kind, "states": states, **place(cursor), "limit": limit}
    return many(ReviewSummary, connection, _PAGE, values)


def waiting(connection: Connection, case_id: UUID, kind: Kind) -> list[ReviewSummary]:
    """Reviews of a case that are neither submitted nor cancelled."""
    return many(ReviewSummary, connection, _WAITING, {"case": case_id, "kind": kind})


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


def stopwatch(connection: Connection, review_id: UUID, reviewer: str) -> Stopwatch | None:
    """Locks the review; None where the claim is not the reviewer's."""
    found = rows(connection, _STOPWATCH, {"id": review_id, "reviewer": reviewer})
    return Stopwatch(**found[0]) if found else None


def heartbeat(
    connection: Connection, review_id: UUID, reviewer: str, beat: ReviewHeartbeat, *, counted: Decimal, duration: timedelta
) -> ReviewHeartbeatAnswer:
    """Keep what was shown and what counts of it; the claim must be the reviewer's."""
    values = {"id": review_id, "reviewer": reviewer, "active": seconds(beat.active_seconds), "sequence": beat.sequence}
    changed(connection, _HEARTBEAT, values)
    return one(ReviewHeartbeatAnswer, connection, _RENEW, {"id": review_id, "counted": counted, "duration": duration})


def release(connection: Connection, review_id: UUID, reviewer: str) -> bool:
    return changed(connection, _RELEASE, {"id": review_id, "reviewer": reviewer}) == 1


def state(connection: Connection, review_id: UUID) -> State | None:
    """None where there is no such review."""
    found: State | None = connection.exec_driver_sql("SELECT state FROM reviews WHERE id = %(id)s", {"id": review_id}).scalar_one_or_none()
    return found


def seconds(value: float) -> Decimal:
    """Milliseconds are the finest that the tables keep."""
    return Decimal(str(round(value, 3)))
