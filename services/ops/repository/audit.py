"""Who changed what, in the transaction that changed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg.types.json import Jsonb

from services.ops.repository.rows import changed, many, place, rows
from services.ops.schemas.configuration import AuditRow
from shared.ids import uuid7

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from shared.web.pagination import Cursor


@dataclass(frozen=True, slots=True)
class Author:
    """Who acts: a key, or (without one) a named command of the installation's operator."""

    tenant: str
    key_id: UUID | None = None
    command: str = ""


_INSERT = """
INSERT INTO audit_log (id, tenant_id, actor, action, object_type, object_id, detail)
SELECT %(id)s, %(tenant)s, coalesce((SELECT k.name || ' (rk_' || k.prefix || ')' FROM api_keys k WHERE k.id = %(key)s), %(command)s),
       %(verb)s, %(type)s, %(subject)s, %(detail)s
"""

_PAGE = """
SELECT id, actor, action, object_type, object_id, detail, created_at FROM audit_log
WHERE tenant_id = current_setting('app.tenant')
  AND (%(at)s::timestamptz IS NULL OR (created_at, id) < (%(at)s, %(last)s))
ORDER BY created_at DESC, id DESC LIMIT %(limit)s
"""


def record(connection: Connection, author: Author, verb: str, subject: UUID | str, detail: Mapping[str, Any] | None = None) -> None:
    values = {
        "id": uuid7(),
        "tenant": author.tenant,
        "key": author.key_id,
        "command": author.command,
        "verb": verb,
        "type": verb.partition(".")[0],
        "subject": str(subject),
        "detail": Jsonb(dict(detail or {})),
    }
    changed(connection, _INSERT, values)


def page(connection: Connection, cursor: Cursor | None, limit: int) -> list[AuditRow]:
    return many(AuditRow, connection, _PAGE, {**place(cursor), "limit": limit})


def name_of_key(connection: Connection, key_id: UUID) -> str:
    return str(rows(connection, "SELECT name FROM api_keys WHERE id = %(id)s", {"id": key_id})[0]["name"])
