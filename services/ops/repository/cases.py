"""Cases and their traces."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import orjson

from services.ops.repository.rows import many, maybe, place, rows
from services.ops.schemas.cases import (
    CaseCorrection,
    CaseSummary,
    Decision,
    Inference,
    Search,
    Trace,
    TraceDelivery,
    TraceLine,
    TraceReview,
)
from shared.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, RowMapping

    from shared.web.pagination import Cursor

# A person is judging the case and must not see what the machine says. A decided case is so only while it is audited.
_BLINDED = """EXISTS (SELECT FROM reviews b WHERE b.case_id = c.id AND b.kind IN ('control', 'audit') AND b.state IN ('open', 'claimed'))"""

_SEARCH = f"""
SELECT c.id, c.automation, c.source, c.event_id, c.event_type, c.arm, c.state, c.stratum, c.attempt, c.occurred_at, c.received_at,
       CASE WHEN NOT {_BLINDED} THEN d.outcome END AS outcome,
       CASE WHEN NOT {_BLINDED} THEN d.tier END AS tier,
       d.decided_at
FROM cases c LEFT JOIN decisions d ON d.case_id = c.id
WHERE c.tenant_id = current_setting('app.tenant')
  AND (%(automation)s::text IS NULL OR c.automation = %(automation)s)
  AND (%(state)s::text IS NULL OR c.state = %(state)s)
  AND (%(arm)s::text IS NULL OR c.arm = %(arm)s)
  AND (%(source)s::text IS NULL OR c.source = %(source)s)
  AND (%(event_id)s::text IS NULL OR c.event_id = %(event_id)s)
  AND (%(outcome)s::text IS NULL OR (d.outcome = %(outcome)s AND NOT {_BLINDED}))
  AND (%(received_from)s::timestamptz IS NULL OR c.received_at >= %(received_from)s)
  AND (%(received_until)s::timestamptz IS NULL OR c.received_at < %(received_until)s)
  AND (%(at)s::timestamptz IS NULL OR (c.received_at, c.id) < (%(at)s, %(last)s))
ORDER BY c.received_at DESC, c.id DESC LIMIT %(limit)s
"""  # noqa: S608  # a constant of this module

_CASE = f"""
SELECT c.id, c.automation, c.source, c.event_id, c.event_type, c.arm, c.state, c.stratum, c.attempt, c.occurred_at, c.received_at,
       c.control_probability, c.traceparent, c.dispatches, c.lease_until, c.next_dispatch_at, c.last_error, p.body, {_BLINDED} AS blinded
FROM cases c LEFT JOIN payloads p ON p.received_at = c.received_at AND p.case_id = c.id
WHERE c.id = %(id)s
"""  # noqa: S608  # a constant of this module

_INFERENCES = """
SELECT attempt, position, tier, model_version, outcome, label, score, detail, cpu_ns, wall_ns, created_at
FROM inferences WHERE case_id = %(id)s ORDER BY attempt, position
"""

_DECISION = """
SELECT outcome, adverse, confidence, reasons, attributes, tier, model_version, decided_by, decided_at FROM decisions WHERE case_id = %(id)s
"""

_CORRECTIONS = """
SELECT id, review_id, previous_outcome, outcome, adverse, reasons, attributes, corrected_by, corrected_at
FROM corrections WHERE case_id = %(id)s ORDER BY corrected_at, id
"""

_REVIEWS = """
SELECT id, kind, round, state, reasons, proposal, created_at, claimed_by, submitted_by, submitted_at, outcome,
       active_seconds, span_seconds, booked_seconds
FROM reviews WHERE case_id = %(id)s ORDER BY created_at, id
"""

_LEDGER = """
SELECT id, kind, quantity, unit, amount, currency, grade, occurred_at, booked_at, reverses
FROM ledger_lines WHERE case_id = %(id)s ORDER BY booked_at, kind, sequence
"""

_DELIVERIES = """
SELECT d.id, d.endpoint_id, e.url, d.state, d.attempt, d.next_attempt_at, d.last_status, d.last_error, d.delivered_at
FROM outbox o JOIN deliveries d ON d.outbox_id = o.id LEFT JOIN endpoints e ON e.id = d.endpoint_id
WHERE o.case_id = %(id)s ORDER BY d.created_at, d.id
"""

_LOCK = """
SELECT id, state, automation FROM cases WHERE id = %(id)s FOR UPDATE
"""

_REPLAY = """
UPDATE cases SET state = 'pending', attempt = 0, dispatches = 0, lease_until = NULL, next_dispatch_at = now(), last_error = NULL
WHERE id = ANY(%(ids)s) AND state = 'quarantined'
RETURNING id
"""

# Locks in the order of ids, as every other bulk change of cases does; a case that somebody works on now is left for the next call.
_QUARANTINED = """
SELECT id FROM cases
WHERE tenant_id = %(tenant)s AND automation = %(automation)s AND state = 'quarantined'
ORDER BY received_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""


def search(connection: Connection, filters: Search, cursor: Cursor | None, limit: int) -> list[CaseSummary]:
    return many(CaseSummary, connection, _SEARCH, {**filters.model_dump(), **place(cursor), "limit": limit})


def trace(connection: Connection, case_id: UUID) -> Trace:
    """Raises NotFound. What a blinded reviewer must not see is never read."""
    key = {"id": case_id}
    found = rows(connection, _CASE, key)
    if not found:
        raise NotFound
    row, blinded = dict(found[0]), found[0]["blinded"]
    body = row.pop("body")
    decision = None if blinded else maybe(Decision, connection, _DECISION, key)
    return Trace(
        **row,
        event=None if body is None else orjson.loads(body),
        outcome=decision.outcome if decision else None,
        tier=decision.tier if decision else None,
        decided_at=decision.decided_at if decision else None,
        decision=decision,
        corrections=[] if blinded else many(CaseCorrection, connection, _CORRECTIONS, key),
        inferences=[] if blinded else many(Inference, connection, _INFERENCES, key),
        reviews=[_veiled(review, blinded=blinded) for review in many(TraceReview, connection, _REVIEWS, key)],
        ledger=[] if blinded else many(TraceLine, connection, _LEDGER, key),
        deliveries=many(TraceDelivery, connection, _DELIVERIES, key),
    )


def _veiled(review: TraceReview, *, blinded: bool) -> TraceReview:
    return review.model_copy(update={"proposal": None, "reasons": [], "outcome": None}) if blinded else review


def lock(connection: Connection, case_id: UUID) -> RowMapping:
    """``id``, ``state``, ``automation``; raises NotFound."""
    found = rows(connection, _LOCK, {"id": case_id})
    if not found:
        raise NotFound
    return found[0]


def replay(connection: Connection, case_ids: Sequence[UUID]) -> list[UUID]:
    """Send quarantined cases round again; returns the ids of those that were quarantined."""
    return [row["id"] for row in rows(connection, _REPLAY, {"ids": list(case_ids)})]


def quarantined(connection: Connection, tenant: str, automation: str, limit: int) -> list[UUID]:
    """Ids of the longest quarantined cases, locked."""
    values = {"tenant": tenant, "automation": automation, "limit": limit}
    return [row["id"] for row in rows(connection, _QUARANTINED, values)]


def count_quarantined(connection: Connection, tenant: str, automation: str) -> int:
    statement = "SELECT count(*) AS n FROM cases WHERE tenant_id = %(tenant)s AND automation = %(automation)s AND state = 'quarantined'"
    return int(rows(connection, statement, {"tenant": tenant, "automation": automation})[0]["n"])
