"""Where every record is; at an earlier moment, where it was: what happened since is taken back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from services.roi.grains import Grain
from services.roi.schemas import Balance

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, CursorResult

    from services.roi.period import Period

_BALANCES = TypeAdapter(list[Balance])
_HOURS = "hour >= %(start)s AND hour < %(end)s AND (%(automation)s::text IS NULL OR automation = %(automation)s)"
_NOW = (
    "SELECT automation, hour, received, automated, human, control, duplicate, rejected,"  # noqa: S608  # constants
    " pending + processing + review AS in_flight, quarantined + poison AS dead_letter, difference,"
    " pending, processing, review, quarantined, poison, outcomes"
    f" FROM conservation WHERE tenant_id = %(tenant)s AND {_HOURS} ORDER BY hour, automation"
)
# Booked after the moment: later hours as they are summed up, the rest of its own hour and what is not summed up yet as single facts.
_LATER = "f.tenant_id = %(tenant)s AND f.booked_at > %(as_of)s AND (f.booked_at < %(next)s OR f.xid >= rollup_horizon('rollups'))"
_SINCE = (
    "SELECT automation, hour, sum(received) AS received, sum(duplicate) AS duplicate, sum(rejected) AS rejected,"  # noqa: S608  # constants
    " sum(automated) AS automated, sum(human) AS human, sum(control) AS control, sum(poison) AS poison,"
    " sum(settled) AS settled, sum(unmatched) AS unmatched FROM ("
    "  SELECT automation, hour, received, duplicate, rejected, automated, human, control, 0 AS poison, 0 AS settled,"
    "   0 AS unmatched FROM conservation_hourly"
    "  WHERE tenant_id = %(tenant)s AND booked >= %(next)s"
    "  UNION ALL SELECT automation, hour, received, duplicate, rejected, 0, 0, 0, 0, 0, 0 FROM intake_batches f"
    f" WHERE {_LATER}"
    "  UNION ALL SELECT automation, date_trunc('hour', received_at, 'UTC'), 0, 0, 0, (arm = 'automated' AND tier <> 'human')::int,"
    "   (arm = 'automated' AND tier = 'human')::int, (arm = 'control')::int, 0, 0, 0 FROM decisions f"
    f" WHERE {_LATER}"
    "  UNION ALL SELECT automation, date_trunc('hour', received_at, 'UTC'), 0, 0, 0, 0, 0, 0, 1, 0, 0 FROM poison_records"
    "  WHERE tenant_id = %(tenant)s AND automation IS NOT NULL AND created_at > %(as_of)s"
    "  UNION ALL SELECT 'outcomes', date_trunc('hour', received_at, 'UTC'), 0, 0, 0, 0, 0, 0, 0, 1, (state = 'unmatched')::int"
    "  FROM case_outcomes WHERE tenant_id = %(tenant)s AND settled_at > %(as_of)s"
    f" ) AS since WHERE {_HOURS} GROUP BY 1, 2"
)
_THEN = (
    "SELECT n.automation, n.hour, n.received - coalesce(s.received, 0) AS received, n.automated - coalesce(s.automated, 0) AS automated,"  # noqa: S608  # constants
    " n.human - coalesce(s.human, 0) AS human, n.control - coalesce(s.control, 0) AS control,"
    " n.duplicate - coalesce(s.duplicate, 0) AS duplicate, n.rejected - coalesce(s.rejected, 0) AS rejected,"
    " n.in_flight + CASE WHEN n.automation = 'outcomes' THEN 0 ELSE n.quarantined END"
    "  + coalesce(s.automated + s.human + s.control + s.settled, 0)"
    "  - coalesce(s.received - s.duplicate - s.rejected - s.poison, 0) AS in_flight,"
    " n.poison - coalesce(s.poison, 0)"
    "  + CASE WHEN n.automation = 'outcomes' THEN n.quarantined - coalesce(s.unmatched, 0) ELSE 0 END AS dead_letter, n.difference,"
    " n.poison - coalesce(s.poison, 0) AS poison, n.outcomes - coalesce(s.settled - s.unmatched, 0) AS outcomes"
    f" FROM ({_NOW}) AS n LEFT JOIN ({_SINCE}) AS s USING (automation, hour)"
    " WHERE n.received > coalesce(s.received, 0) ORDER BY hour, automation"
)


def conservation(connection: Connection, tenant: str, period: Period, automation: str | None, as_of: datetime | None) -> list[Balance]:
    """One balance for each automation and hour of receipt in which there is anything."""
    values = {"tenant": tenant, "start": period.start, "end": period.end, "automation": automation}
    if as_of is None:
        return _balances(connection.exec_driver_sql(_NOW, values))
    values |= {"as_of": as_of, "next": Grain.HOUR.start(as_of) + timedelta(hours=1)}
    return _balances(connection.exec_driver_sql(_THEN, values))


def _balances(rows: CursorResult[Any]) -> list[Balance]:
    """Checked all at once, because there may be thousands."""
    names = list(rows.keys())
    return _BALANCES.validate_python([dict(zip(names, row, strict=True)) for row in rows])
