"""Finds cases that nobody works on, and claims of reviews that ran out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from shared.casework.values import GivenUp

if TYPE_CHECKING:
    from datetime import timedelta

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waiting time ``base * 2^n``, at most ``cap``, plus up to a quarter at random so that cases do not come back in step."""

    base: timedelta
    cap: timedelta


class Due(NamedTuple):
    automation: str
    case_id: UUID


# From automation to automation by the index, a step for each that has waiting cases: what a paused one has is never looked at (ADR 0038).
# That list is as of the statement's beginning; whoever got a row in between has changed what is asked of it again, once it is locked.
_TAKE_DUE: Final = """
WITH RECURSIVE automations AS (
    (SELECT tenant_id, automation FROM cases WHERE state = 'pending' ORDER BY tenant_id, automation LIMIT 1)
    UNION ALL
    SELECT following.* FROM automations a CROSS JOIN LATERAL (
        SELECT tenant_id, automation FROM cases WHERE state = 'pending' AND (tenant_id, automation) > (a.tenant_id, a.automation)
        ORDER BY tenant_id, automation LIMIT 1
    ) following
), waiting AS (
    SELECT oldest.id FROM automations a CROSS JOIN LATERAL (
        SELECT id, attempt, next_dispatch_at FROM cases
        WHERE state = 'pending' AND tenant_id = a.tenant_id AND automation = a.automation AND attempt BETWEEN %(lowest)s AND %(highest)s
            AND next_dispatch_at <= now() AND (dispatches > 0 OR next_dispatch_at <= now() - %(grace)s::interval)
        ORDER BY attempt, next_dispatch_at LIMIT %(limit)s
    ) oldest
    WHERE NOT EXISTS (SELECT FROM automation_settings s WHERE s.tenant_id = a.tenant_id AND s.automation = a.automation AND s.paused)
    ORDER BY oldest.attempt, oldest.next_dispatch_at LIMIT %(limit)s
), due AS (
    SELECT id, state, next_dispatch_at FROM cases WHERE id = ANY (ARRAY(SELECT id FROM waiting)) FOR UPDATE SKIP LOCKED
)
UPDATE cases c SET
    dispatches = least(c.dispatches + 1, 32000),
    next_dispatch_at = now() + least(%(base)s::interval * 2 ^ least(c.dispatches, 20), %(cap)s::interval) * (1 + random() / 4)
FROM due WHERE c.id = due.id AND due.state = 'pending' AND due.next_dispatch_at <= now() RETURNING c.automation, c.id
"""


def take_back_expired(connection: Connection, backoff: Backoff, *, attempt_cap: int, limit: int) -> int:
    """Cases whose worker let its lease expire wait again; returns how many."""
    taken = connection.exec_driver_sql(
        "UPDATE cases SET state = 'pending', lease_until = NULL, last_error = coalesce(last_error, 'lease expired'),"
        " next_dispatch_at = now() + least(%(base)s::interval * 2 ^ least(attempt - 1, 20), %(cap)s::interval) * (1 + random() / 4)"
        " WHERE id IN (SELECT id FROM cases WHERE state = 'processing' AND lease_until < now() AND attempt < %(attempt_cap)s"
        " ORDER BY lease_until LIMIT %(limit)s FOR UPDATE SKIP LOCKED)",
        {"base": backoff.base, "cap": backoff.cap, "attempt_cap": attempt_cap, "limit": limit},
    )
    return taken.rowcount


def lock_hopeless(connection: Connection, *, attempt_cap: int, limit: int) -> list[GivenUp]:
    """Cases that nobody works on and whose attempts are used up, locked until the transaction ends."""
    rows = connection.exec_driver_sql(
        "SELECT id, attempt, CASE WHEN last_error IS NULL THEN 'lease expired' END FROM cases WHERE attempt >= %(attempt_cap)s"
        " AND ((state = 'processing' AND lease_until < now()) OR (state = 'pending' AND next_dispatch_at <= now()))"
        " LIMIT %(limit)s FOR UPDATE SKIP LOCKED",
        {"attempt_cap": attempt_cap, "limit": limit},
    )
    return [GivenUp(*row) for row in rows]


def take_due(connection: Connection, backoff: Backoff, *, attempts: range, grace: timedelta, limit: int) -> list[Due]:
    """Waiting cases whose backoff is over, of automations that are not paused; each is due again after its next backoff.

    Args:
        attempts: how often a worker has had the case: 0 is fresh, more has failed before.
        grace: a case that was never sent again is left alone for so much longer.
    """
    rows = connection.exec_driver_sql(
        _TAKE_DUE,
        {
            "base": backoff.base,
            "cap": backoff.cap,
            "lowest": attempts.start,
            "highest": attempts.stop - 1,
            "grace": grace,
            "limit": limit,
        },
    )
    return [Due(*row) for row in rows]


def give_back_claims(connection: Connection) -> int:
    """Reviews whose claim ran out are open again, and keep the time that was worked on them: active time, capped by the claim's span."""
    given_back = connection.exec_driver_sql(
        "UPDATE reviews r SET state = 'open', claimed_by = NULL, claimed_at = NULL, claim_expires_at = NULL, active_seconds = 0,"
        " earlier_seconds = r.earlier_seconds"
        "  + least(r.active_seconds, greatest(0, extract(epoch FROM least(now(), r.claim_expires_at) - r.claimed_at)))"
        " WHERE r.id IN (SELECT id FROM reviews WHERE state = 'claimed' AND claim_expires_at <= now() LIMIT 1000 FOR UPDATE SKIP LOCKED)"
    )
    return given_back.rowcount
