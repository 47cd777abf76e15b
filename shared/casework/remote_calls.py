"""Books what calls of remote models took: every call once, also those of runs that were overtaken, because they were paid for as well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from shared.ledger import posting
from shared.ledger import repository as ledger
from shared.money import Money, currency

if TYPE_CHECKING:
    from sqlalchemy import Connection


class _Unbooked(NamedTuple):
    """One call, and the case that it was made for."""

    call_id: UUID
    case_id: UUID
    tenant_id: str
    automation: str
    arm: str
    stratum: str
    tokens: int
    amount: Decimal
    currency: str
    counted: bool
    at: datetime

    def line(self, sequence: int) -> posting.Line:
        cost = Money(self.amount, currency(self.currency))
        return posting.for_remote(self, sequence, self.tokens, cost, counted=self.counted, at=self.at)


# Locked, so that two who book one case wait for each other; the second then sees none left, and the sequence numbers of the first.
_UNBOOKED: Final = (
    "SELECT r.id, r.case_id, r.tenant_id, r.automation, c.arm, coalesce(c.stratum, 'unknown'), r.tokens, r.amount, r.currency, r.counted,"
    " coalesce(r.settled_at, r.created_at) FROM remote_calls r JOIN cases c ON c.id = r.case_id WHERE r.state IN ('held', 'settled')"
)
_OF_CASES: Final = _UNBOOKED + " AND r.case_id = ANY(%(cases)b::uuid[]) ORDER BY r.id FOR UPDATE OF r"
_LEFT_OVER: Final = (
    _UNBOOKED + " AND r.created_at < now() - %(age)s::interval AND c.state NOT IN ('pending', 'processing')"
    " ORDER BY r.created_at LIMIT %(limit)s FOR UPDATE OF r SKIP LOCKED"
)
_BOOKED: Final = (
    "SELECT case_id, max(sequence) + 1 FROM ledger_lines WHERE case_id = ANY(%(cases)b::uuid[]) AND kind = 'remote_model' GROUP BY case_id"
)


def book(connection: Connection, case_ids: Sequence[UUID]) -> int:
    """Book the calls of these cases that are not in the ledger yet; returns how many. Part of whatever transaction settles the cases.

    A call that an ended run left unsettled is booked at the most that it can have taken.
    """
    return _book(connection, connection.exec_driver_sql(_OF_CASES, {"cases": list(case_ids)}).tuples()) if case_ids else 0


def book_left_over(connection: Connection, age: timedelta, limit: int) -> int:
    """As `book`, for older calls whose case no worker has any more: of runs that ended after the case was settled, or that failed."""
    return _book(connection, connection.exec_driver_sql(_LEFT_OVER, {"age": age, "limit": limit}).tuples())


def _book(connection: Connection, rows: Iterable[Sequence[Any]]) -> int:
    calls = [_Unbooked(*row) for row in rows]
    if not calls:
        return 0
    cases = list(dict.fromkeys(call.case_id for call in calls))
    following = dict(connection.exec_driver_sql(_BOOKED, {"cases": cases}).tuples().all())
    lines = []
    for call in calls:
        sequence = following.get(call.case_id, 0)
        following[call.case_id] = sequence + 1
        lines.append(call.line(sequence))
    ledger.post(connection, lines)
    booked = [call.call_id for call in calls]
    connection.exec_driver_sql("UPDATE remote_calls SET state = 'booked' WHERE id = ANY(%(ids)b::uuid[])", {"ids": booked})
    return len(lines)
