"""What people answer: a review with its case, locked; the submitted answer; work on reviews that nobody is asked for any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from services.ops.repository.reviews import LEFT_BEHIND
from services.ops.repository.rows import changed, rows
from services.ops.schemas.reviews import Kind
from shared.casework.values import UNKNOWN_STRATUM
from shared.errors import NotFound

if TYPE_CHECKING:
    from sqlalchemy import Connection

# The case first: replay and the workers lock in this order too.
_LOCK_CASE = "SELECT c.id FROM cases c WHERE c.id = (SELECT r.case_id FROM reviews r WHERE r.id = %(id)s) FOR UPDATE"

_LOCK = """
SELECT r.id, r.case_id, r.automation, r.kind, r.round, r.state, r.claimed_by, r.submitted_by, r.submitted_at, r.outcome,
       r.reasons AS asked_because, r.active_seconds, r.earlier_seconds, r.span_seconds, r.booked_seconds,
       greatest(0, extract(epoch FROM now() - r.claimed_at)) AS claim_seconds,
       greatest(0, extract(epoch FROM r.claim_expires_at - r.claimed_at)) AS lease_seconds, now() AS now,
       t.time_scale, c.tenant_id, c.arm, c.stratum, c.covariate, c.source, c.event_id, c.event_type, c.occurred_at, c.received_at,
       c.traceparent, p.body
FROM reviews r JOIN cases c ON c.id = r.case_id JOIN tenants t ON t.id = c.tenant_id
LEFT JOIN payloads p ON p.received_at = c.received_at AND p.case_id = c.id
WHERE r.id = %(id)s FOR UPDATE OF r
"""

_SUBMIT = """
UPDATE reviews SET state = 'submitted', submitted_at = now(), submitted_by = %(reviewer)s, outcome = %(outcome)s,
    active_seconds = %(active)s, span_seconds = %(span)s, booked_seconds = %(booked)s, claim_expires_at = NULL
WHERE id = %(id)s AND state = 'claimed' AND claimed_by = %(reviewer)s
"""

# What somebody has worked on a review that nobody is asked for any more is booked all the same.
_CANCEL = f"""
WITH worked AS (
    SELECT r.id, r.earlier_seconds + CASE WHEN r.state = 'claimed' THEN {LEFT_BEHIND} ELSE 0 END AS seconds
    FROM reviews r WHERE r.case_id = ANY(%(cases)s) AND r.kind <> 'audit' AND r.state IN ('open', 'claimed')
      AND r.id IS DISTINCT FROM %(but)s FOR UPDATE
)
UPDATE reviews r SET state = 'cancelled', claimed_by = NULL, claim_expires_at = NULL, active_seconds = w.seconds,
    booked_seconds = least(w.seconds * t.time_scale, 999999999)
FROM worked w, cases c JOIN tenants t ON t.id = c.tenant_id
WHERE r.id = w.id AND c.id = r.case_id
RETURNING c.id AS case_id, c.tenant_id, c.automation, c.arm, coalesce(c.stratum, %(unknown)s) AS stratum, r.booked_seconds AS seconds,
          now() AS now
"""  # noqa: S608  # a constant of this module

_DECIDED = "SELECT outcome, reasons, attributes FROM decisions WHERE case_id = %(case)s"
# The newest correction, or else the decision itself.
_HOLDS = """
SELECT outcome, reasons, attributes FROM (
    SELECT outcome, reasons, attributes, corrected_at AS at FROM corrections WHERE case_id = %(case)s
    UNION ALL
    SELECT outcome, reasons, attributes, '-infinity' FROM decisions WHERE case_id = %(case)s
) a ORDER BY at DESC LIMIT 1
"""
_ASKED_BECAUSE = "SELECT reasons FROM reviews WHERE case_id = %(case)s AND kind = 'exception' AND state = 'submitted'"
_ANSWERED = "SELECT detail FROM audit_log WHERE object_id = %(id)s AND action IN ('review.audited', 'review.reworked')"


@dataclass(frozen=True, slots=True)
class Work:
    """A review, its case and its event, locked until the transaction ends. Seconds are those of the clock on the wall."""

    id: UUID
    case_id: UUID
    automation: str
    kind: Kind
    round: int
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
    lease_seconds: Decimal | None
    now: datetime
    time_scale: Decimal
    tenant_id: str
    arm: Literal["automated", "control"]
    stratum: str | None
    covariate: float | None
    source: str
    event_id: str
    event_type: str
    occurred_at: datetime
    received_at: datetime
    traceparent: str | None
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Abandoned:
    """Seconds that people spent on a review before it was cancelled, scaled for a simulated tenant; a `Subject` of the ledger."""

    case_id: UUID
    tenant_id: str
    automation: str
    arm: Literal["automated", "control"]
    stratum: str
    seconds: Decimal
    now: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody submitted earlier."""

    outcome: str
    reasons: tuple[str, ...]
    attributes: dict[str, str]


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


def cancel(connection: Connection, case_ids: Sequence[UUID], *, but: UUID | None = None) -> list[Abandoned]:
    """Take back what people were asked about these cases, audits apart; returns the work that was done on it already.

    Args:
        but: a review that stays.
    """
    abandoned = [Abandoned(**row) for row in rows(connection, _CANCEL, {"cases": list(case_ids), "but": but, "unknown": UNKNOWN_STRATUM})]
    return [one for one in abandoned if one.seconds > 0]


def decided(connection: Connection, case_id: UUID) -> Answer | None:
    found = rows(connection, _DECIDED, {"case": case_id})
    return _answer(dict(found[0])) if found else None


def holds(connection: Connection, case_id: UUID) -> Answer | None:
    """What counts of a case now; None before it is decided."""
    found = rows(connection, _HOLDS, {"case": case_id})
    return _answer(dict(found[0])) if found else None


def asked_because(connection: Connection, case_id: UUID) -> tuple[str, ...]:
    """Why the line asked the person who has decided a case; nothing where a tier did."""
    return tuple(reason for row in rows(connection, _ASKED_BECAUSE, {"case": case_id}) for reason in row["reasons"])


def answered(connection: Connection, review_id: UUID) -> Answer | None:
    """Of an audit or a rework, which leave the decision as it is."""
    found = rows(connection, _ANSWERED, {"id": str(review_id)})
    return _answer(found[0]["detail"]) if found else None


def _answer(row: dict[str, Any]) -> Answer:
    return Answer(row["outcome"], tuple(row["reasons"]), dict(row["attributes"]))
