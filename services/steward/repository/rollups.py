"""Adds committed facts to the roll-ups, each exactly once.

A window of facts is a range of transaction ids below every transaction that still runs, because sequences and clocks commit out of order
and a reader by them would skip rows for ever. The window's upper end becomes the next one's lower end in the transaction that adds the
window's facts: whoever is killed in between has added nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

# Transactions rolled up at once: a long outage is caught up in steps that each end well before the statement timeout.
TRANSACTIONS = 2000


@dataclass(frozen=True, slots=True)
class Window:
    """Transactions ``lower <= xid < upper``.

    Attributes:
        empty: no fact is in it.
        complete: there is no later committed fact; the roll-ups are as new as they can be.
    """

    lower: int
    upper: int
    empty: bool
    complete: bool

    def bounds(self) -> dict[str, str]:
        return {"lower": str(self.lower), "upper": str(self.upper)}


def lock_window(connection: Connection) -> Window | None:
    """The next window, locked until the transaction ends; None where another steward has it."""
    row = connection.exec_driver_sql(
        "SELECT horizon::text FROM rollup_horizons WHERE name = 'rollups' FOR UPDATE SKIP LOCKED"
    ).one_or_none()
    if row is None:
        return None
    lower = int(row[0])
    # A second statement: its snapshot is newer than the lock.
    first, oldest_running = connection.exec_driver_sql(
        "SELECT least("
        " (SELECT xid FROM decisions WHERE xid >= %(lower)s::xid8 ORDER BY xid LIMIT 1),"
        " (SELECT xid FROM ledger_lines WHERE xid >= %(lower)s::xid8 ORDER BY xid LIMIT 1),"
        " (SELECT xid FROM intake_batches WHERE xid >= %(lower)s::xid8 ORDER BY xid LIMIT 1))::text,"
        " pg_snapshot_xmin(pg_current_snapshot())::text",
        {"lower": str(lower)},
    ).one()
    newest = max(int(oldest_running), lower)
    if first is None or int(first) >= newest:
        return Window(lower, newest, empty=True, complete=True)
    upper = min(newest, int(first) + TRANSACTIONS)
    return Window(lower, upper, empty=False, complete=upper == newest)


def advance(connection: Connection, window: Window) -> None:
    connection.exec_driver_sql(
        "UPDATE rollup_horizons SET horizon = %(upper)s::xid8, rolled_at = CASE WHEN %(complete)s THEN now() ELSE rolled_at END"
        " WHERE name = 'rollups'",
        {"upper": str(window.upper), "complete": window.complete},
    )


def add_cases(connection: Connection, window: Window) -> int:
    """Decided cases with their human seconds; a line that comes after its case was counted corrects the sums by the difference.

    Each case is rounded by itself, so that sums are the same in whatever order and portions they are added.
    """
    added = connection.exec_driver_sql(
        "WITH fresh AS ("
        "  SELECT d.tenant_id, d.automation, d.arm, d.stratum, d.tier, d.decided_at,"
        "   (SELECT coalesce(sum(l.quantity), 0) FROM ledger_lines l WHERE l.case_id = d.case_id AND l.unit = 's'"
        "    AND l.kind IN ('manual_time', 'review_time', 'reversal') AND l.xid < %(upper)s::xid8) AS seconds"
        "  FROM decisions d WHERE d.xid >= %(lower)s::xid8 AND d.xid < %(upper)s::xid8),"
        " late AS ("
        "  SELECT l.case_id, coalesce(sum(l.quantity) FILTER (WHERE l.xid < %(lower)s::xid8), 0) AS before, sum(l.quantity) AS after"
        "  FROM ledger_lines l WHERE l.unit = 's' AND l.kind IN ('manual_time', 'review_time', 'reversal') AND l.xid < %(upper)s::xid8"
        "  AND l.case_id IN (SELECT n.case_id FROM ledger_lines n WHERE n.xid >= %(lower)s::xid8 AND n.xid < %(upper)s::xid8"
        "   AND n.unit = 's' AND n.kind IN ('manual_time', 'review_time', 'reversal'))"
        "  GROUP BY l.case_id),"
        " facts AS ("
        "  SELECT tenant_id, automation, arm, stratum, tier, decided_at, 1 AS cases, round(seconds, 6) AS seconds,"
        "   round(seconds * seconds, 6) AS squares FROM fresh"
        "  UNION ALL"
        "  SELECT d.tenant_id, d.automation, d.arm, d.stratum, d.tier, d.decided_at, 0, round(late.after, 6) - round(late.before, 6),"
        "   round(late.after * late.after, 6) - round(late.before * late.before, 6)"
        "  FROM late JOIN decisions d ON d.case_id = late.case_id AND d.xid < %(lower)s::xid8)"
        " INSERT INTO roi_hourly AS r (tenant_id, automation, arm, stratum, tier, hour, cases, human_seconds, human_seconds2)"
        " SELECT tenant_id, automation, arm, stratum, tier, date_trunc('hour', decided_at, 'UTC'), sum(cases), sum(seconds), sum(squares)"
        " FROM facts GROUP BY 1, 2, 3, 4, 5, 6"
        " ON CONFLICT (tenant_id, automation, arm, stratum, tier, hour) DO UPDATE SET cases = r.cases + excluded.cases,"
        " human_seconds = r.human_seconds + excluded.human_seconds, human_seconds2 = r.human_seconds2 + excluded.human_seconds2",
        window.bounds(),
    )
    return added.rowcount


def add_lines(connection: Connection, window: Window) -> int:
    """Ledger lines by kind; a reversal counts under the kind of the line that it reverses, so that sums by kind are net."""
    added = connection.exec_driver_sql(
        "INSERT INTO ledger_hourly AS h (tenant_id, automation, arm, kind, grade, currency, hour, lines, quantity, amount)"
        " SELECT l.tenant_id, l.automation, coalesce(l.arm, '-'), coalesce(reversed.kind, l.kind), l.grade, coalesce(l.currency, '-'),"
        " date_trunc('hour', l.occurred_at, 'UTC'), count(*), coalesce(sum(l.quantity), 0), coalesce(sum(l.amount), 0)"
        " FROM ledger_lines l LEFT JOIN ledger_lines reversed ON reversed.id = l.reverses"
        " WHERE l.xid >= %(lower)s::xid8 AND l.xid < %(upper)s::xid8 GROUP BY 1, 2, 3, 4, 5, 6, 7"
        " ON CONFLICT (tenant_id, automation, arm, kind, grade, currency, hour) DO UPDATE SET lines = h.lines + excluded.lines,"
        " quantity = h.quantity + excluded.quantity, amount = h.amount + excluded.amount",
        window.bounds(),
    )
    return added.rowcount


def add_conservation(connection: Connection, window: Window) -> int:
    """What came in, and how the decided cases were decided, by hour of receipt."""
    added = connection.exec_driver_sql(
        "WITH facts AS ("
        "  SELECT tenant_id, automation, hour, received, duplicate, rejected, 0 AS automated, 0 AS human, 0 AS control"
        "  FROM intake_batches WHERE xid >= %(lower)s::xid8 AND xid < %(upper)s::xid8"
        "  UNION ALL"
        "  SELECT tenant_id, automation, date_trunc('hour', received_at, 'UTC'), 0, 0, 0, (arm = 'automated' AND tier <> 'human')::int,"
        "   (arm = 'automated' AND tier = 'human')::int, (arm = 'control')::int"
        "  FROM decisions WHERE xid >= %(lower)s::xid8 AND xid < %(upper)s::xid8)"
        " INSERT INTO conservation_hourly AS c (tenant_id, automation, hour, received, duplicate, rejected, automated, human, control)"
        " SELECT tenant_id, automation, hour, sum(received), sum(duplicate), sum(rejected), sum(automated), sum(human), sum(control)"
        " FROM facts GROUP BY 1, 2, 3"
        " ON CONFLICT (tenant_id, automation, hour) DO UPDATE SET received = c.received + excluded.received,"
        " duplicate = c.duplicate + excluded.duplicate, rejected = c.rejected + excluded.rejected,"
        " automated = c.automated + excluded.automated, human = c.human + excluded.human, control = c.control + excluded.control",
        window.bounds(),
    )
    return added.rowcount
