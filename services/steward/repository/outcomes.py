"""Late outcomes that wait for the cases that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    # When an outcome was received, and its id.
    Place = tuple[datetime, UUID]

    from sqlalchemy import Connection


class Due(NamedTuple):
    """An outcome whose case is decided; both are locked until the transaction ends."""

    id: UUID
    tenant_id: str
    case_id: UUID
    automation: str
    source: str
    event_id: str
    result: str
    occurred_at: datetime
    traceparent: str | None


# The named case by either name. Cases first, as everywhere: who locks a case and then its outcomes cannot meet this in a circle.
_CASE = (
    "SELECT c.id, c.automation, c.source, c.event_id, c.state FROM cases c WHERE c.id = o.named_case AND c.tenant_id = o.tenant_id"
    " UNION ALL SELECT c.id, c.automation, c.source, c.event_id, c.state FROM cases c"
    " WHERE c.tenant_id = o.tenant_id AND c.source = o.named_source AND c.event_id = o.named_event_id"
)


def ready(connection: Connection, limit: int, *, after: Place | None = None) -> list[tuple[UUID, UUID, Place]]:
    """(outcome, case, place) where the case is decided, the longest waiting first; nothing is locked.

    Args:
        after: the place of the last one that was read before; None begins with the first.
    """
    received_at, outcome_id = (None, None) if after is None else after
    rows = connection.exec_driver_sql(
        f"SELECT o.id, c.id, o.received_at FROM case_outcomes o CROSS JOIN LATERAL ({_CASE}) c"  # noqa: S608  # constants
        " WHERE o.state = 'waiting' AND c.state = 'decided'"
        " AND (%(at)s::timestamptz IS NULL OR (o.received_at, o.id) > (%(at)s::timestamptz, %(last)s::uuid))"
        " ORDER BY o.received_at, o.id LIMIT %(limit)s",
        {"at": received_at, "last": outcome_id, "limit": limit},
    )
    return [(outcome, case, (at, outcome)) for outcome, case, at in rows]


def lock(connection: Connection, outcome_id: UUID, case_id: UUID) -> Due | None:
    """None where another steward has applied it."""
    connection.exec_driver_sql("SELECT FROM cases WHERE id = %(case)s FOR UPDATE", {"case": case_id})
    row = connection.exec_driver_sql(
        "SELECT o.id, o.tenant_id, c.id, c.automation, c.source, c.event_id, o.result, o.occurred_at, o.traceparent"
        " FROM case_outcomes o, cases c WHERE o.id = %(id)s AND c.id = %(case)s AND o.state = 'waiting' FOR UPDATE OF o",
        {"id": outcome_id, "case": case_id},
    ).one_or_none()
    return None if row is None else Due(*row)


def mark_applied(connection: Connection, due: Due) -> datetime:
    """When."""
    at: datetime = connection.exec_driver_sql(
        "UPDATE case_outcomes SET state = 'applied', case_id = %(case)s, settled_at = now() WHERE id = %(id)s RETURNING settled_at",
        {"id": due.id, "case": due.case_id},
    ).scalar_one()
    return at


def count_lines(connection: Connection, outcome_id: UUID, lines: int) -> None:
    connection.exec_driver_sql("UPDATE case_outcomes SET lines = %(lines)s WHERE id = %(id)s", {"id": outcome_id, "lines": lines})


def give_up(connection: Connection, patience: timedelta) -> int:
    """Outcomes that name no case although they have waited so long: dead letters from now on."""
    return connection.exec_driver_sql(
        "UPDATE case_outcomes o SET state = 'unmatched', settled_at = now()"  # noqa: S608  # a constant of this module
        f" WHERE o.state = 'waiting' AND o.received_at < now() - %(patience)s::interval AND NOT EXISTS ({_CASE})",
        {"patience": patience},
    ).rowcount


def take_up(connection: Connection) -> int:
    """Outcomes that were given up and whose case has come since wait again; returns how many."""
    return connection.exec_driver_sql(
        "UPDATE case_outcomes o SET state = 'waiting', settled_at = NULL"  # noqa: S608  # a constant of this module
        f" WHERE o.state = 'unmatched' AND EXISTS ({_CASE})"
    ).rowcount
