"""Deliveries of decisions, as an operator sees them and sends them again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

from services.ops.repository.rows import changed, many, one, place
from services.ops.schemas.replay import BulkRedelivery, DeliverySummary

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from shared.web.pagination import Cursor

_COLUMNS = """
d.id, o.case_id, d.endpoint_id, o.automation, d.state, d.attempt, d.next_attempt_at, d.last_status, d.last_error, d.delivered_at,
d.created_at
"""

_PAGE = f"""
SELECT {_COLUMNS} FROM deliveries d JOIN outbox o ON o.id = d.outbox_id
WHERE d.tenant_id = current_setting('app.tenant')
  AND (%(state)s::text IS NULL OR d.state = %(state)s)
  AND (%(endpoint)s::uuid IS NULL OR d.endpoint_id = %(endpoint)s)
  AND (%(at)s::timestamptz IS NULL OR (d.created_at, d.id) < (%(at)s, %(last)s))
ORDER BY d.created_at DESC, d.id DESC LIMIT %(limit)s
"""  # noqa: S608  # a constant of this module

_LOCK = f"""
SELECT {_COLUMNS} FROM deliveries d JOIN outbox o ON o.id = d.outbox_id WHERE d.id = %(id)s FOR UPDATE OF d
"""  # noqa: S608  # a constant of this module

# The id is the receiver's `webhook-id` and the body belongs to the outbox row: both stay as they are.
_AGAIN = """
UPDATE deliveries SET state = 'pending', attempt = 0, next_attempt_at = now(), lease_until = NULL, delivered_at = NULL
WHERE id = %(id)s AND state IN ('dead', 'delivered')
"""

_MANY_AGAIN = """
WITH chosen AS (
    SELECT id FROM deliveries
    WHERE tenant_id = current_setting('app.tenant') AND state = %(state)s
      AND created_at >= %(created_from)s AND created_at < %(created_until)s
      AND (%(endpoint_id)s::uuid IS NULL OR endpoint_id = %(endpoint_id)s)
      AND NOT EXISTS (SELECT FROM outbox o WHERE o.id = outbox_id AND o.kind = ANY (%(without)s))
    ORDER BY created_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE deliveries d SET state = 'pending', attempt = 0, next_attempt_at = now(), lease_until = NULL, delivered_at = NULL
FROM chosen WHERE d.id = chosen.id
"""


def page(connection: Connection, state: str | None, endpoint: UUID | None, cursor: Cursor | None, limit: int) -> list[DeliverySummary]:
    values = {"state": state, "endpoint": endpoint, **place(cursor), "limit": limit}
    return many(DeliverySummary, connection, _PAGE, values)


def lock(connection: Connection, delivery_id: UUID) -> DeliverySummary:
    """Raises NotFound."""
    return one(DeliverySummary, connection, _LOCK, {"id": delivery_id})


def kind(connection: Connection, delivery_id: UUID) -> str:
    """Of its message; the delivery exists."""
    found: str = connection.exec_driver_sql(
        "SELECT o.kind FROM deliveries d JOIN outbox o ON o.id = d.outbox_id WHERE d.id = %(id)s", {"id": delivery_id}
    ).scalar_one()
    return found


def again(connection: Connection, delivery_id: UUID) -> bool:
    """False where it is on its way already."""
    return changed(connection, _AGAIN, {"id": delivery_id}) == 1


def many_again(connection: Connection, order: BulkRedelivery, without: Iterable[str]) -> int:
    """Args: without: kinds of messages that are left out."""
    return changed(connection, _MANY_AGAIN, order.model_dump() | {"without": list(without)})
