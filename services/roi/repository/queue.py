"""What waits for people, and what came to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.roi.facts import Queue

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from services.roi.period import Period

# Cases that needed a person, by hour of receipt; everything else of conservation never waited for one.
_ARRIVED = (
    "SELECT automation, sum(human + control + review + quarantined)::bigint, min(hour) FROM conservation"
    " WHERE tenant_id = %(tenant)s AND hour >= %(start)s AND hour < %(end)s"
    " AND (%(automation)s::text IS NULL OR automation = %(automation)s) GROUP BY automation"
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
