"""Late outcomes, with the cases that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.ops.repository.rows import many, place
from services.ops.schemas.outcomes import LateOutcome, OutcomeSearch

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from shared.web.pagination import Cursor

# By either name, each by its index.
_CASE = """
    SELECT c.id, c.automation FROM cases c WHERE c.id = coalesce(o.case_id, o.named_case)
    UNION ALL
    SELECT c.id, c.automation FROM cases c
    WHERE o.case_id IS NULL AND c.tenant_id = o.tenant_id AND c.source = o.named_source AND c.event_id = o.named_event_id
"""

_PAGE = f"""
SELECT o.id, o.source, o.event_id, o.state, o.result, o.amount AS loss, o.currency, c.id AS case_id, c.automation, o.named_source,
       o.named_event_id, o.lines, o.occurred_at, o.received_at, o.settled_at
FROM case_outcomes o LEFT JOIN LATERAL ({_CASE}) c ON true
WHERE o.tenant_id = current_setting('app.tenant')
  AND (%(automation)s::text IS NULL OR c.automation = %(automation)s)
  AND (%(case_id)s::uuid IS NULL OR c.id = %(case_id)s)
  AND (%(state)s::text IS NULL OR o.state = %(state)s)
  AND (%(result)s::text IS NULL OR o.result = %(result)s)
  AND (%(at)s::timestamptz IS NULL OR (o.received_at, o.id) < (%(at)s, %(last)s))
ORDER BY o.received_at DESC, o.id DESC LIMIT %(limit)s
"""  # noqa: S608  # a constant of this module


def page(connection: Connection, wanted: OutcomeSearch, cursor: Cursor | None, limit: int) -> list[LateOutcome]:
    return many(LateOutcome, connection, _PAGE, {**wanted.model_dump(), **place(cursor), "limit": limit})
