"""What waits for people, and what came to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.roi.facts import Queue
from services.roi.grains import Grain, starts
from services.roi.repository.rows import OF_ITS_AUTOMATION

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from services.roi.period import Period

# Cases that needed a person, by receipt; nothing else ever waited for one: whole days and the hours at the ends of the period as they are
# summed up, and what is not summed up yet, as in the view `conservation`.
_ARRIVED = (
    "SELECT automation, sum(people)::bigint FROM ("  # noqa: S608  # constants
    "  SELECT automation, people FROM arrival_days WHERE tenant_id = %(tenant)s AND day >= %(first)s AND day < %(last)s"
    "  UNION ALL SELECT automation, human + control FROM conservation_hourly WHERE tenant_id = %(tenant)s"
    "   AND hour >= %(start)s AND hour < %(first)s"
    "  UNION ALL SELECT automation, human + control FROM conservation_hourly WHERE tenant_id = %(tenant)s"
    "   AND hour >= %(last)s AND hour < %(end)s"
    "  UNION ALL SELECT automation, (arm = 'control' OR tier = 'human')::int FROM decisions WHERE tenant_id = %(tenant)s"
    "   AND xid >= rollup_horizon('rollups') AND received_at >= %(start)s AND received_at < %(end)s"
    "  UNION ALL SELECT automation, (state IN ('review', 'quarantined'))::int FROM cases WHERE tenant_id = %(tenant)s"
    "   AND state <> 'decided' AND received_at >= %(start)s AND received_at < %(end)s"
    f" ) AS came WHERE {OF_ITS_AUTOMATION} GROUP BY automation"
)
# When the first record came; `{0}` names the automation, so that it is the first row of an index.
_BEGAN = (
    "SELECT min(hour) FROM ("
    "  (SELECT hour FROM conservation_hourly WHERE tenant_id = %(tenant)s AND hour < %(end)s{0} ORDER BY hour LIMIT 1)"
    "  UNION ALL SELECT hour FROM intake_batches WHERE tenant_id = %(tenant)s AND xid >= rollup_horizon('rollups')"
    "   AND hour < %(end)s{0}"
    " ) AS came"
)
# As known at a moment, by booking as in the sums of `case_sums`: the facts of its own hour, and those that are not summed up yet.
_LATELY, _FRESH = ">= %(hour)s AND booked_at <= %(as_of)s", "< %(hour)s AND xid >= rollup_horizon('rollups')"
_OF_BATCHES = "SELECT min(hour) FROM intake_batches WHERE tenant_id = %(tenant)s AND booked_at {0} AND hour < %(end)s{{0}}"
_BEGAN_THEN = (
    "SELECT min(hour) FROM ("  # noqa: S608  # constants
    "  (SELECT hour FROM conservation_hourly WHERE tenant_id = %(tenant)s AND hour < %(end)s"
    "   AND booked < %(hour)s{0} ORDER BY hour LIMIT 1)"
    f"  UNION ALL {_OF_BATCHES.format(_LATELY)}"
    f"  UNION ALL {_OF_BATCHES.format(_FRESH)}"
    " ) AS came"
)
_OPEN = (
    "SELECT automation, count(*) FILTER (WHERE kind IN ('control', 'exception')),"
    " count(*) FILTER (WHERE kind NOT IN ('control', 'exception')), min(created_at) FROM reviews"
    " WHERE tenant_id = %(tenant)s AND state IN ('open', 'claimed')"
    " AND (%(automation)s::text IS NULL OR automation = %(automation)s) GROUP BY automation"
)


def queues(connection: Connection, tenant: str, period: Period, automation: str | None, as_of: datetime | None) -> list[Queue]:
    """One for each automation that anything arrived for or waits in; what waits is of now, whatever the period.

    Args:
        as_of: with a moment nothing is counted as arrived: which cases that were undecided then needed a person is not kept. Reviews
            say when they were opened and answered, but not when a replay took them back, and cases not when they were quarantined.
    """
    first = min(Grain.DAY.up(period.start), period.end)
    values = {
        "tenant": tenant,
        "start": period.start,
        "first": first,
        "last": max(first, Grain.DAY.start(period.end)),
        "end": period.end,
        "automation": automation,
    }
    arrived: dict[str, int] = {} if as_of is not None else dict(connection.exec_driver_sql(_ARRIVED, values).tuples().all())
    waiting: dict[str, tuple[int, int, datetime]] = {
        name: (cases, others, oldest) for name, cases, others, oldest in connection.exec_driver_sql(_OPEN, values)
    }
    found = []
    for name in sorted({*arrived, *waiting}):
        cases, others, oldest = waiting.get(name, (0, 0, None))
        found.append(Queue(name, arrived.get(name, 0), cases, others, oldest))
    return found


def began(connection: Connection, tenant: str, end: datetime, automation: str | None, as_of: datetime | None) -> datetime | None:
    """The hour of the first record before the end that is known, or was at a moment; None without any."""
    values = {"tenant": tenant, "end": end, "automation": automation, **starts(as_of)}
    statement = (_BEGAN if as_of is None else _BEGAN_THEN).format("" if automation is None else " AND automation = %(automation)s")
    found: datetime | None = connection.exec_driver_sql(statement, values).scalar_one()
    return found
