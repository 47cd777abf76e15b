"""What waits for people, and what came to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.roi.facts import Queue

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from services.roi.period import Period

# Cases that needed a person, by hour of receipt; nothing else ever waited for one. The sums and what is not summed up yet, as in the view
# `conservation`, but not hour by hour: two years have fifty thousand of those.
_ARRIVED = (
    "SELECT automation, sum(people)::bigint, min(hour) FROM ("
    "  SELECT automation, human + control AS people, hour FROM conservation_hourly"
    "  WHERE tenant_id = %(tenant)s AND hour >= %(start)s AND hour < %(end)s"
    "  UNION ALL SELECT automation, (tier = 'human')::int, date_trunc('hour', received_at, 'UTC') FROM decisions"
    "  WHERE tenant_id = %(tenant)s AND xid >= rollup_horizon('rollups')"
    "  UNION ALL SELECT automation, 0, hour FROM intake_batches WHERE tenant_id = %(tenant)s AND xid >= rollup_horizon('rollups')"
    "  UNION ALL SELECT automation, (state IN ('review', 'quarantined'))::int, date_trunc('hour', received_at, 'UTC') FROM cases"
    "  WHERE tenant_id = %(tenant)s AND state <> 'decided'"
    " ) AS came WHERE hour >= %(start)s AND hour < %(end)s AND (%(automation)s::text IS NULL OR automation = %(automation)s)"
    " GROUP BY automation"
)
_OPEN = (
    "SELECT automation, count(*) FILTER (WHERE kind IN ('control', 'exception')),"
    " count(*) FILTER (WHERE kind NOT IN ('control', 'exception')), min(created_at) FROM reviews"
    " WHERE tenant_id = %(tenant)s AND state IN ('open', 'claimed')"
    " AND (%(automation)s::text IS NULL OR automation = %(automation)s) GROUP BY automation"
)


def queues(connection: Connection, tenant: str, period: Period, automation: str | None) -> list[Queue]:
    """One for each automation that anything arrived for or waits in; what waits is of now, whatever the period."""
    values = {"tenant": tenant, "start": period.start, "end": period.end, "automation": automation}
    arrived: dict[str, tuple[int, datetime]] = {name: (count, first) for name, count, first in connection.exec_driver_sql(_ARRIVED, values)}
    waiting: dict[str, tuple[int, int, datetime]] = {
        name: (cases, others, oldest) for name, cases, others, oldest in connection.exec_driver_sql(_OPEN, values)
    }
    found = []
    for name in sorted({*arrived, *waiting}):
        count, first = arrived.get(name, (0, None))
        cases, others, oldest = waiting.get(name, (0, 0, None))
        found.append(Queue(name, count, first, cases, others, oldest))
    return found
