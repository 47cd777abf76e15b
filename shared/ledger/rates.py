"""Reads one dated rate; nothing is ever guessed where there is none."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from shared.money import Money, currency

if TYPE_CHECKING:
    from sqlalchemy import Connection

LOSS_PER_ERROR = "loss_per_error"
CPU_HOUR = "cpu_hour"

_PRICE = """
SELECT value, currency FROM rates
WHERE tenant_id = %(tenant)s AND name = %(name)s AND automation IN (%(automation)s, '*') AND valid_from <= %(at)s AND currency IS NOT NULL
ORDER BY (automation = '*'), valid_from DESC, created_at DESC LIMIT 1
"""


def price(connection: Connection, tenant: str, name: str, *, automation: str = "*", at: datetime) -> Money | None:
    """What the rate was worth at a moment: the automation's own before the one for all; None where nobody has set any."""
    values = {"tenant": tenant, "name": name, "automation": automation, "at": at}
    row = connection.exec_driver_sql(_PRICE, values).one_or_none()
    return None if row is None else Money(row[0], currency(row[1]))
