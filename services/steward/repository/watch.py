"""What is looked at again and again: how much waits and for how long, and what must always hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import Connection

# How far back checks of single rows look; older rows were looked at when they were new, and the roll-ups hold their sums for ever.
RECENT = "15 minutes"


# Of facts that a horizon has not passed: the job that moves it is late, or a transaction is open somewhere on the server.
_BEHIND = {
    "rollups": ("decisions", "ledger_lines", "intake_batches"),
    "evidence": ("decisions", "intake_batches"),
    "audits": ("decisions",),
    "seals": ("ledger_lines",),
}

_CASES = """
SELECT c.state, count(*), extract(epoch FROM now() - min(c.received_at) FILTER (WHERE s.paused IS NOT TRUE))::float8
FROM cases c LEFT JOIN automation_settings s ON s.tenant_id = c.tenant_id AND s.automation = c.automation
WHERE c.state <> 'decided' GROUP BY 1
"""
_AGES = """
SELECT (SELECT min(created_at) FROM outbox WHERE planned_at IS NULL) AS unplanned,
       (SELECT min(created_at) FROM outbox WHERE published_at IS NULL) AS unpublished,
       (SELECT min(created_at) FROM deliveries WHERE state = 'pending') AS undelivered,
       (SELECT min(created_at) FROM deliveries WHERE state = 'sending') AS sending,
       (SELECT min(created_at) FROM reviews WHERE state IN ('open', 'claimed')) AS unreviewed,
       now() AS now
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The ages are seconds, 0 where nothing waits.

    Attributes:
        open_cases: by state.
        pending_age: of cases, but for paused automations.
        outbox_age: of messages for which no deliveries are planned yet, or that the decisions topic has not acknowledged.
        delivery_age: of messages that an endpoint has not taken yet.
        review_age: of reviews that nobody has answered.
        failing_endpoints: those that are called and have only failed since some moment.
        behind: by horizon, of facts that it has not passed.
    """

    open_cases: dict[str, int]
    pending_age: float
    outbox_age: float
    delivery_age: float
    review_age: float
    failing_endpoints: int
    behind: dict[str, float]


def waiting(connection: Connection) -> Waiting:
    rows = connection.exec_driver_sql(_CASES).all()
    ages = connection.exec_driver_sql(_AGES).one()
    failing = connection.exec_driver_sql("SELECT count(*) FROM endpoints WHERE state = 'enabled' AND failing_since IS NOT NULL")
    return Waiting(
        open_cases={state: count for state, count, _ in rows},
        pending_age=max(0.0, next((age or 0.0 for state, _, age in rows if state == "pending"), 0.0)),
        outbox_age=_age(ages.now, ages.unplanned, ages.unpublished),
        delivery_age=_age(ages.now, ages.undelivered, ages.sending),
        review_age=_age(ages.now, ages.unreviewed),
        failing_endpoints=failing.scalar_one(),
        behind={horizon: _behind(connection, horizon, facts) for horizon, facts in _BEHIND.items()},
    )


def _behind(connection: Connection, horizon: str, facts: Sequence[str]) -> float:
    firsts = ", ".join(
        f"(SELECT booked_at FROM {table} WHERE xid >= (SELECT horizon FROM rollup_horizons WHERE name = %(name)s) ORDER BY xid LIMIT 1)"  # noqa: S608  # ours
        for table in facts
    )
    return _age(*connection.exec_driver_sql(f"SELECT now(), {firsts}", {"name": horizon}).one())


def _age(now: datetime, *moments: datetime | None) -> float:
    return max((max(0.0, (now - moment).total_seconds()) for moment in moments if moment is not None), default=0.0)


def poison(connection: Connection) -> dict[str, int]:
    """Poison records that nobody has dealt with: those of a ``tenant``, and those of ``nobody``."""
    rows = connection.exec_driver_sql(
        "SELECT count(tenant_id), count(*) - count(tenant_id) FROM poison_records WHERE resolved_at IS NULL"
    ).one()
    return dict(zip(("tenant", "nobody"), rows, strict=True))


def decided_without_decision(connection: Connection) -> int:
    """Cases received lately that say they are decided, and no decision exists."""
    return _count(
        connection,
        "SELECT count(*) FROM tenants t CROSS JOIN LATERAL (SELECT c.id FROM cases c WHERE c.tenant_id = t.id"
        " AND c.received_at > now() - %(recent)s::interval AND c.state = 'decided'"
        " AND NOT EXISTS (SELECT FROM decisions d WHERE d.case_id = c.id)) lost",
    )


def decision_without_case(connection: Connection) -> int:
    """Decisions made lately whose case is not closed."""
    return _count(
        connection,
        "SELECT count(*) FROM tenants t CROSS JOIN LATERAL (SELECT d.case_id FROM decisions d WHERE d.tenant_id = t.id"
        " AND d.decided_at > now() - %(recent)s::interval"
        " AND NOT EXISTS (SELECT FROM cases c WHERE c.id = d.case_id AND c.state = 'decided')) early",
    )


def horizon_ahead_of_transactions(connection: Connection) -> int:
    """Horizons that the server's transaction ids have not reached, as after a dump came into a new one: what is booked lies behind them."""
    return _count(connection, "SELECT count(*) FROM rollup_horizons WHERE horizon > pg_snapshot_xmax(pg_current_snapshot())")


def decision_not_sent_once(connection: Connection) -> int:
    """Decisions made lately without exactly one row in the outbox."""
    return _count(
        connection,
        "SELECT count(*) FROM tenants t CROSS JOIN LATERAL (SELECT d.case_id FROM decisions d WHERE d.tenant_id = t.id"
        " AND d.decided_at > now() - %(recent)s::interval"
        " AND (SELECT count(*) FROM outbox o WHERE o.case_id = d.case_id AND o.kind = 'decision.made') <> 1) unsent",
    )


def holes_in_consumed_ranges(connection: Connection) -> int:
    """Gaps between neighbouring ranges of the newest thousand of each partition: offsets that were skipped."""
    return _count(
        connection,
        "WITH RECURSIVE parts AS ("
        "  (SELECT topic, partition FROM consumed_ranges ORDER BY topic, partition LIMIT 1)"
        "  UNION ALL"
        "  SELECT following.topic, following.partition FROM parts CROSS JOIN LATERAL (SELECT r.topic, r.partition FROM consumed_ranges r"
        "   WHERE (r.topic, r.partition) > (parts.topic, parts.partition) ORDER BY r.topic, r.partition LIMIT 1) following)"
        " SELECT count(*) FROM (SELECT newest.first_offset, max(newest.last_offset)"
        "  OVER (PARTITION BY parts.topic, parts.partition ORDER BY newest.first_offset, newest.last_offset"
        "  ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached"
        "  FROM parts CROSS JOIN LATERAL (SELECT r.first_offset, r.last_offset FROM consumed_ranges r"
        "   WHERE r.topic = parts.topic AND r.partition = parts.partition ORDER BY r.last_offset DESC LIMIT 1000) newest) ranges"
        " WHERE first_offset > reached + 1",
    )


def conservation_difference(connection: Connection) -> int:
    """Hours of the last two days in which received is not the sum of what became of it."""
    return _count(connection, "SELECT count(*) FROM conservation WHERE difference <> 0 AND hour > now() - interval '2 days'")


def pending_too_long(connection: Connection, limit: timedelta) -> int:
    """Pending cases older than ``limit``, but for paused automations."""
    count: int = connection.exec_driver_sql(
        "SELECT count(*) FROM cases c WHERE c.state = 'pending' AND c.received_at < now() - %(limit)s::interval"
        " AND NOT EXISTS (SELECT FROM automation_settings s WHERE s.tenant_id = c.tenant_id AND s.automation = c.automation AND s.paused)",
        {"limit": limit},
    ).scalar_one()
    return count


def answers(connection: Connection) -> bool:
    return bool(connection.exec_driver_sql("SELECT 1").scalar_one() == 1)


def _count(connection: Connection, statement: str) -> int:
    count: int = connection.exec_driver_sql(statement, {"recent": RECENT}).scalar_one()
    return count
