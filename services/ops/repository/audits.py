"""Second looks at decisions, and brakes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from services.ops.repository.rows import changed, many, maybe, place, rows
from services.ops.schemas.audits import Audit, AuditState, Brake

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from shared.web.pagination import Cursor

_STATE = """CASE WHEN coalesce(g.wrong, f.wrong) THEN 'wrong' WHEN NOT coalesce(g.wrong, f.wrong) THEN 'right'
            WHEN f.case_id IS NOT NULL THEN 'disputed' ELSE 'waiting' END"""

# Nothing that was answered is shown before the last answer is in.
_PAGE = f"""
SELECT * FROM (
    SELECT a.case_id, a.automation, a.stratum, {_STATE} AS state, a.probability, a.tier, a.model_version, a.decided_at,
           CASE WHEN coalesce(g.wrong, f.wrong) IS NOT NULL THEN a.outcome END AS first_outcome,
           CASE WHEN coalesce(g.wrong, f.wrong) IS NOT NULL THEN f.outcome END AS second_outcome, f.reviewer AS second_by,
           g.outcome AS adjudicated_outcome, g.reviewer AS adjudicated_by, coalesce(g.created_at, f.created_at) AS found_at
    FROM audits a LEFT JOIN audit_findings f ON f.case_id = a.case_id AND f.round = 0
    LEFT JOIN audit_findings g ON g.case_id = a.case_id AND g.round = 1
    WHERE a.tenant_id = current_setting('app.tenant') AND (%(automation)s::text IS NULL OR a.automation = %(automation)s)
      AND (%(at)s::timestamptz IS NULL OR (a.decided_at, a.case_id) < (%(at)s, %(last)s))
) found WHERE %(state)s::text IS NULL OR state = %(state)s
ORDER BY decided_at DESC, case_id DESC LIMIT %(limit)s
"""  # noqa: S608  # a constant of this module

_DRAWN = "SELECT outcome, probability, decided_at FROM audits WHERE case_id = %(case)s"
_ANSWERS = "SELECT outcome FROM audit_findings WHERE case_id = %(case)s ORDER BY round"

_BRAKE = "id, automation, braked_at, evidence, released_at, released_by, note"
_BRAKES = f"""
SELECT {_BRAKE} FROM brakes
WHERE tenant_id = current_setting('app.tenant') AND (%(automation)s::text IS NULL OR automation = %(automation)s)
  AND (%(at)s::timestamptz IS NULL OR (braked_at, id) < (%(at)s, %(last)s))
ORDER BY braked_at DESC, id DESC LIMIT %(limit)s
"""  # noqa: S608  # a constant of this module
_ON = f"SELECT {_BRAKE} FROM brakes WHERE tenant_id = current_setting('app.tenant') AND released_at IS NULL"  # noqa: S608  # as above
_RELEASE = f"""
UPDATE brakes SET released_at = now(), released_by = %(by)s, note = %(note)s
WHERE tenant_id = current_setting('app.tenant') AND automation = %(automation)s AND released_at IS NULL RETURNING {_BRAKE}
"""  # noqa: S608  # a constant of this module
# What was found before is not held against it again: the person who released it has seen it.
_FORGET = """
UPDATE brake_evidence SET stakes = '{}', audits = 0, wrong = 0, highest = 1, horizon = pg_current_xact_id(), since = now()
WHERE tenant_id = current_setting('app.tenant') AND automation = %(automation)s
"""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Attributes: outcome: the first answer; probability: that it was drawn."""

    outcome: str
    probability: Decimal
    decided_at: datetime


def page(connection: Connection, automation: str | None, state: AuditState | None, cursor: Cursor | None, limit: int) -> list[Audit]:
    return many(Audit, connection, _PAGE, {"automation": automation, "state": state, **place(cursor), "limit": limit})


def drawn(connection: Connection, case_id: UUID) -> Drawn | None:
    """None where the case was not drawn."""
    found = rows(connection, _DRAWN, {"case": case_id})
    return Drawn(**found[0]) if found else None


def answers(connection: Connection, case_id: UUID) -> list[str]:
    """What people have said about the decision so far."""
    return [str(row["outcome"]) for row in rows(connection, _ANSWERS, {"case": case_id})]


def brakes(connection: Connection, automation: str | None, cursor: Cursor | None, limit: int) -> list[Brake]:
    return many(Brake, connection, _BRAKES, {"automation": automation, **place(cursor), "limit": limit})


def brakes_on(connection: Connection) -> dict[str, Brake]:
    """By automation."""
    return {brake.automation: brake for brake in many(Brake, connection, _ON, {})}


def release(connection: Connection, automation: str, by: str, note: str) -> Brake | None:
    """None where the brake is not on."""
    brake = maybe(Brake, connection, _RELEASE, {"automation": automation, "by": by, "note": note})
    if brake is not None:
        changed(connection, _FORGET, {"automation": automation})
    return brake
