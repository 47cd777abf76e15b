"""Adds a tenant's sums up anew from its decisions and ledger lines, and compares: whoever may change a sum changes every figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from services.steward.repository.rollups import BOOKED, CASE_BUCKETS, CASES, LINES, MONEY_BUCKETS, ROLLUPS, Added, lines_of
from shared.errors import Rejected
from shared.ledger.sums import case_changes

if TYPE_CHECKING:
    from sqlalchemy import Connection

# Rows that are told one by one, of each table.
SHOWN: Final = 20
_VISIBLE: Final = "{0}.xid < %(upper)s::xid8"
_OF_CASES: Final = case_changes(
    touched=f"SELECT case_id FROM decisions d WHERE d.tenant_id = %(tenant)s AND {_VISIBLE.format('d')}",  # noqa: S608  # constants
    visible=_VISIBLE,
    old="false",
    booked=BOOKED,
)
_OF_LINES: Final = lines_of(f"l.tenant_id = %(tenant)s AND {_VISIBLE.format('l')}")


class Different(NamedTuple):
    """A row of sums that is not what its facts add up to. Attributes: key, kept, counted: as text."""

    table: str
    key: str
    kept: str
    counted: str


class Recount(NamedTuple):
    """Attributes: rows: of sums that were compared; different: how many are; shown: the first of each table."""

    rows: int
    different: int
    shown: list[Different]


def recount(connection: Connection, tenant: str) -> Recount:
    """Compare every row of a tenant's sums with the facts below the horizon of the roll-ups; call it in a snapshot.

    Raises:
        Rejected: there is none of that name.
    """
    require_tenant(connection, tenant)
    # Millions of facts take longer than any request may.
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    upper = connection.exec_driver_sql("SELECT horizon::text FROM rollup_horizons WHERE name = %(name)s", {"name": ROLLUPS}).scalar_one()
    rows = different = 0
    shown: list[Different] = []
    for facts, tables in ((_OF_CASES, (CASES, CASE_BUCKETS)), (_OF_LINES, (LINES, MONEY_BUCKETS))):
        for table in tables:
            found = connection.exec_driver_sql(_compared(facts, table), {"tenant": tenant, "upper": upper, "shown": SHOWN}).all()
            compared, differing = found[0][:2]
            rows, different = rows + int(compared), different + int(differing)
            shown += [Different(table.table, *row[2:]) for row in found if row[2] is not None]
    return Recount(rows, different, shown)


def require_tenant(connection: Connection, tenant: str) -> None:
    """Raises Rejected: a misspelt one has nothing that could be wrong."""
    if connection.exec_driver_sql("SELECT 1 FROM tenants WHERE id = %(tenant)s", {"tenant": tenant}).one_or_none() is None:
        raise Rejected(f"there is no tenant {tenant!r}")


def _compared(facts: str, table: Added) -> str:
    """One row for each difference that is shown, and one at least, behind how many rows there are and how many of them differ."""
    kept, counted = (f"ROW({', '.join(f'trim_scale(coalesce({side}.{name}, 0))' for name in table.measures)})" for side in ("s", "e"))
    return (
        f"WITH {facts}, expected ({table.columns}) AS ({table.rows}),"  # noqa: S608  # constants
        f" compared AS (SELECT ROW({table.key})::text AS key, {kept} AS kept, {counted} AS counted"
        f"  FROM expected e FULL JOIN (SELECT * FROM {table.table} WHERE tenant_id = %(tenant)s) s USING ({table.key})),"
        " different AS (SELECT key, kept::text AS kept, counted::text AS counted FROM compared WHERE kept IS DISTINCT FROM counted)"
        " SELECT (SELECT count(*) FROM compared), (SELECT count(*) FROM different), d.key, d.kept, d.counted"
        " FROM (VALUES (1)) AS one LEFT JOIN (SELECT * FROM different ORDER BY key LIMIT %(shown)s) d ON true"
    )
