"""What could not be read, and what failed too often."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from uuid import UUID

from services.ops.repository.rows import changed, many, place, rows
from services.ops.schemas.replay import DeadLetter, DeadLetterDetail
from shared.errors import NotFound

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from shared.web.pagination import Cursor

_PAGE = """
SELECT * FROM (
    SELECT id, 'poison' AS kind, automation, error, received_at, resolved_at FROM poison_records
    WHERE tenant_id = current_setting('app.tenant') AND (%(resolved)s OR resolved_at IS NULL)
    UNION ALL
    SELECT id, 'case', automation, last_error, received_at, NULL FROM cases
    WHERE tenant_id = current_setting('app.tenant') AND state = 'quarantined'
) letters
WHERE (%(automation)s::text IS NULL OR automation = %(automation)s)
  AND (%(at)s::timestamptz IS NULL OR (received_at, id) < (%(at)s, %(last)s))
ORDER BY received_at DESC, id DESC LIMIT %(limit)s
"""

_ONE = """
SELECT id, 'poison' AS kind, automation, error, received_at, resolved_at, raw, headers,
       format('%%s/%%s@%%s', topic, "partition", "offset") AS place
FROM poison_records WHERE id = %(id)s
UNION ALL
SELECT c.id, 'case', c.automation, c.last_error, c.received_at, NULL, p.body, '[]', format('%%s %%s', c.source, c.event_id)
FROM cases c LEFT JOIN payloads p ON p.received_at = c.received_at AND p.case_id = c.id
WHERE c.id = %(id)s AND c.state = 'quarantined'
"""

_RESOLVE = "UPDATE poison_records SET resolved_at = now() WHERE id = %(id)s AND resolved_at IS NULL"


def page(connection: Connection, automation: str | None, cursor: Cursor | None, limit: int, *, resolved: bool) -> list[DeadLetter]:
    values = {"automation": automation, "resolved": resolved, **place(cursor), "limit": limit}
    return many(DeadLetter, connection, _PAGE, values)


def one(connection: Connection, letter_id: UUID) -> DeadLetterDetail:
    """Raises NotFound."""
    found = rows(connection, _ONE, {"id": letter_id})
    if not found:
        raise NotFound
    row = dict(found[0])
    raw = row.pop("raw")
    return DeadLetterDetail(**row, raw_base64=None if raw is None else base64.b64encode(bytes(raw)).decode())


def resolve(connection: Connection, letter_id: UUID) -> bool:
    """False where it was resolved before."""
    return changed(connection, _RESOLVE, {"id": letter_id}) == 1
