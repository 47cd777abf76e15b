"""Appends to the ledger: the only code that does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.ledger.posting import Kind, Line

if TYPE_CHECKING:
    from decimal import Decimal
    from uuid import UUID

    from sqlalchemy import Connection


def post(connection: Connection, lines: Sequence[Line]) -> None:
    """Book lines; the moment of booking is the transaction's, and the database's to say.

    Raises:
        sqlalchemy.exc.IntegrityError: a case has a line of that kind and sequence already. Nothing is booked twice, or silently dropped.
    """
    if lines:
        connection.exec_driver_sql(_INSERT, _columns(lines))


@dataclass(frozen=True, slots=True)
class Booked:
    """A line as it stands in the ledger.

    Attributes:
        taken_back: a reversal names it.
    """

    line: Line
    taken_back: bool

    @property
    def id(self) -> UUID:
        return self.line.id

    @property
    def kind(self) -> Kind:
        return self.line.kind

    @property
    def quantity(self) -> Decimal | None:
        return self.line.quantity

    @property
    def amount(self) -> Decimal | None:
        return self.line.amount

    @property
    def currency(self) -> str | None:
        return self.line.currency


def booked(connection: Connection, case_id: UUID, kinds: Sequence[Kind]) -> list[Booked]:
    """Lines of a case, by kind and sequence."""
    rows = connection.exec_driver_sql(
        "SELECT l.id, l.tenant_id, l.automation, l.case_id, l.kind, l.sequence, l.arm, l.stratum, l.quantity, l.unit, l.amount,"
        " l.currency, l.grade, l.baseline_id, l.occurred_at,"
        " EXISTS (SELECT FROM ledger_lines r WHERE r.reverses = l.id) AS taken_back"
        " FROM ledger_lines l WHERE l.case_id = %(case)s AND l.kind = ANY(%(kinds)s) ORDER BY l.kind, l.sequence",
        {"case": case_id, "kinds": list(kinds)},
    )
    found = []
    for row in rows.mappings():
        values = dict(row)
        taken_back = values.pop("taken_back")
        found.append(Booked(Line(**values), taken_back))
    return found


def next_sequence(connection: Connection, case_id: UUID, kind: Kind) -> int:
    """The first free number for one more line of that kind; the caller has locked the case."""
    statement = "SELECT coalesce(max(sequence) + 1, 0) FROM ledger_lines WHERE case_id = %(case)s AND kind = %(kind)s"
    return int(connection.exec_driver_sql(statement, {"case": case_id, "kind": kind}).scalar_one())


def post_platform(connection: Connection, lines: Sequence[Line]) -> int:
    """Book costs of hours that are not booked yet; returns how many were. Safe to repeat, and from two stewards at once."""
    if not lines:
        return 0
    return connection.exec_driver_sql(_INSERT + _UNLESS_BOOKED, _columns(lines)).rowcount


_INSERT = (
    "INSERT INTO ledger_lines (id, tenant_id, automation, case_id, kind, sequence, arm, stratum, quantity, unit, amount, currency,"
    " grade, baseline_id, occurred_at, reverses)"
    " SELECT l.* FROM unnest(%(ids)b::uuid[], %(tenants)b::text[], %(automations)b::text[], %(cases)b::uuid[], %(kinds)b::text[],"
    " %(sequences)b::int[], %(arms)b::text[], %(strata)b::text[], %(quantities)b::numeric[], %(units)b::text[], %(amounts)b::numeric[],"
    " %(currencies)b::text[], %(grades)b::text[], %(baselines)b::uuid[], %(occurred)b::timestamptz[], %(reverses)b::uuid[]) AS l"
)
_UNLESS_BOOKED = " ON CONFLICT (tenant_id, automation, kind, occurred_at) WHERE case_id IS NULL AND reverses IS NULL DO NOTHING"


def _columns(lines: Sequence[Line]) -> dict[str, object]:
    return {
        "ids": [line.id for line in lines],
        "tenants": [line.tenant_id for line in lines],
        "automations": [line.automation for line in lines],
        "cases": [line.case_id for line in lines],
        "kinds": [line.kind for line in lines],
        "sequences": [line.sequence for line in lines],
        "arms": [line.arm for line in lines],
        "strata": [line.stratum for line in lines],
        "quantities": [line.quantity for line in lines],
        "units": [line.unit for line in lines],
        "amounts": [line.amount for line in lines],
        "currencies": [line.currency for line in lines],
        "grades": [line.grade for line in lines],
        "baselines": [line.baseline_id for line in lines],
        "occurred": [line.occurred_at for line in lines],
        "reverses": [line.reverses for line in lines],
    }
