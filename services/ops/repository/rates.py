"""Dated rates: appended, never changed."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from services.ops.repository.rows import many, maybe, place
from services.ops.schemas.rates import NewRate, Rate
from shared.ids import uuid7

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from shared.web.pagination import Cursor

_RATE = "id, name, automation, value, currency, valid_from, source, created_at"

_RATES = f"""
SELECT {_RATE} FROM rates
WHERE tenant_id = current_setting('app.tenant') AND (%(name)s::text IS NULL OR name = %(name)s)
  AND (%(at)s::timestamptz IS NULL OR (valid_from, id) < (%(at)s, %(last)s))
ORDER BY valid_from DESC, id DESC LIMIT %(limit)s
"""  # noqa: S608  # a constant of this module

# A correction needs something to correct, and only a correction may follow a value of the same moment.
_NEW_RATE = f"""
INSERT INTO rates (id, tenant_id, name, automation, value, currency, valid_from, source)
SELECT %(id)s, %(tenant)s, %(name)s, %(automation)s, %(value)s, %(currency)s, %(valid_from)s, %(source)s
WHERE %(correction)s = EXISTS (
    SELECT FROM rates WHERE tenant_id = %(tenant)s AND name = %(name)s AND automation = %(automation)s AND valid_from = %(valid_from)s)
ON CONFLICT (tenant_id, name, automation, valid_from, created_at) DO NOTHING
RETURNING {_RATE}
"""  # noqa: S608  # a constant of this module


def page(connection: Connection, name: str | None, cursor: Cursor | None, limit: int) -> list[Rate]:
    return many(Rate, connection, _RATES, {"name": name, **place(cursor), "limit": limit})


def add(connection: Connection, tenant: str, wanted: NewRate, valid_from: datetime) -> Rate | None:
    """None where it is a correction of nothing, or no correction and this rate has a value from that moment already."""
    values = {**wanted.model_dump(), "id": uuid7(), "tenant": tenant, "valid_from": valid_from}
    return maybe(Rate, connection, _NEW_RATE, values)
