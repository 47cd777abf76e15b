"""Partitions ahead of time, and the hours whose fixed costs are not booked yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

# Hours booked at once: a long outage is caught up in several runs.
HOURS = 2000


@dataclass(frozen=True, slots=True)
class UnbookedHour:
    """Attributes: monthly: fixed cost per month, in the tenant's currency; hour: start, UTC, over."""

    tenant: str
    automation: str
    monthly: Decimal
    currency: str
    hour: datetime


def ensure_partitions(connection: Connection, months_ahead: int) -> int:
    """Returns how many partitions were made."""
    made: int = connection.exec_driver_sql("SELECT ensure_payload_partitions(%(months)s)", {"months": months_ahead}).scalar_one()
    return made


def unbooked_hours(connection: Connection) -> list[UnbookedHour]:
    """Full hours after the last booked one, of every automation with a fixed cost.

    The hour in which the cost was changed counts whole; an unbooked one before it never does, because its price is not known.
    """
    rows = connection.exec_driver_sql(
        "SELECT s.tenant_id, s.automation, s.platform_monthly, t.currency, unbooked.hour"
        " FROM automation_settings s JOIN tenants t ON t.id = s.tenant_id"
        " CROSS JOIN LATERAL (SELECT max(l.occurred_at) AS last FROM ledger_lines l WHERE l.tenant_id = s.tenant_id"
        "  AND l.automation = s.automation AND l.kind = 'platform' AND l.case_id IS NULL AND l.reverses IS NULL) booked"
        " CROSS JOIN LATERAL generate_series(greatest(date_trunc('hour', s.priced_at, 'UTC'), booked.last + interval '1 hour'),"
        "  date_trunc('hour', now(), 'UTC') - interval '1 hour', interval '1 hour') AS unbooked (hour)"
        " WHERE s.platform_monthly > 0 ORDER BY unbooked.hour, s.tenant_id, s.automation LIMIT %(limit)s",
        {"limit": HOURS},
    )
    return [UnbookedHour(*row) for row in rows]
