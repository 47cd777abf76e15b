"""CPU time that the workers spent and that was metered on cases, since it was last looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

HORIZON = "overhead"
# Reports that are booked stay for a look so long.
KEPT = "1 day"


@dataclass(frozen=True, slots=True)
class Spent:
    """What stands in the reports of transactions below ``upper`` and is not booked.

    Attributes:
        total: nanoseconds of all worker processes.
        metered: nanoseconds on cases, by tenant and automation.
        waited: since the last booking.
    """

    upper: int
    at: datetime
    waited: timedelta
    total: int
    metered: Mapping[tuple[str, str], int]


def lock(connection: Connection) -> Spent | None:
    """Locked until the transaction ends; None where another steward has it."""
    row = connection.exec_driver_sql(
        "SELECT horizon::text, now() - rolled_at FROM rollup_horizons WHERE name = 'overhead' FOR UPDATE SKIP LOCKED"
    ).one_or_none()
    if row is None:
        return None
    lower, waited = int(row[0]), row[1]
    # A second statement: its snapshot is newer than the lock.
    upper, at = connection.exec_driver_sql("SELECT pg_snapshot_xmin(pg_current_snapshot())::text, clock_timestamp()").one()
    sums = connection.exec_driver_sql(
        "SELECT tenant_id, automation, sum(cpu_ns)::bigint FROM cpu_meter WHERE xid >= %(lower)s::xid8 AND xid < %(upper)s::xid8"
        " GROUP BY tenant_id, automation",
        {"lower": str(lower), "upper": str(upper)},
    ).all()
    total = sum(ns for tenant, _, ns in sums if tenant is None)
    return Spent(max(int(upper), lower), at, waited, total, {(tenant, name): ns for tenant, name, ns in sums if tenant is not None})


def advance(connection: Connection, upper: int) -> None:
    """What lies below is booked, and forgotten some time later."""
    connection.exec_driver_sql(
        "UPDATE rollup_horizons SET horizon = %(upper)s::xid8, rolled_at = now() WHERE name = 'overhead'", {"upper": str(upper)}
    )
    connection.exec_driver_sql(
        "DELETE FROM cpu_meter WHERE xid < %(upper)s::xid8 AND created_at < now() - %(kept)s::interval", {"upper": str(upper), "kept": KEPT}
    )
