"""Reads what is sealed, each entry in its canonical bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from shared.ledger.canonical import FIELDS, Entry, Form, canonical

if TYPE_CHECKING:
    from sqlalchemy import Connection

_TABLES: Final = {Entry.RATE: "rates", Entry.BASELINE: "baselines", Entry.LINE: "ledger_lines"}
# What no calendar of ours holds is written as PostgreSQL does: nothing that a table can hold may stop the sealing, or look like another.
_INSTANT: Final = (
    "CASE WHEN {0} >= '0001-01-01 00:00:00+00' AND {0} < '10000-01-01 00:00:00+00'"
    " THEN to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') ELSE ({0} AT TIME ZONE 'UTC')::text END"
)
_WRITTEN: Final = {Form.TEXT: "{0}", Form.WHOLE: "{0}", Form.DECIMAL: "{0}::text", Form.IDENTIFIER: "{0}::text", Form.INSTANT: _INSTANT}


class Content(NamedTuple):
    """One entry; ``bytes`` are canonical. A tuple, because one is made for every line."""

    tenant_id: str
    entry: Entry
    id: str
    bytes: bytes


def committed_between(connection: Connection, lower: int, upper: int) -> Iterator[Content]:
    """Everything of the transactions ``lower <= xid < upper``: rates, baselines, lines, each by (xid, id)."""
    for entry, statement in _BY_TRANSACTION.items():
        rows = connection.exec_driver_sql(statement, {"lower": str(lower), "upper": str(upper)})
        yield from _contents(entry, rows.tuples())


def by_id(connection: Connection, tenant: str, entry: Entry, ids: Sequence[str]) -> dict[str, bytes]:
    """Canonical bytes of a tenant's entries that exist."""
    if not ids:
        return {}
    rows = connection.exec_driver_sql(_BY_ID[entry], {"tenant": tenant, "ids": ids})
    return {content.id: content.bytes for content in _contents(entry, rows.tuples())}


def not_sealed(connection: Connection, tenant: str, horizon: int, limit: int) -> list[tuple[Entry, str]]:
    """Entries of transactions below the horizon of the newest seal that are no leaves."""
    found: list[tuple[Entry, str]] = []
    for entry, statement in _NOT_SEALED.items():
        rows = connection.exec_driver_sql(statement, {"tenant": tenant, "horizon": str(horizon), "limit": limit})
        found += [(entry, identity) for (identity,) in rows]
    return found


def from_the_future(connection: Connection, tenant: str, limit: int) -> list[tuple[Entry, str]]:
    """Entries that name a transaction that has not begun: whoever wrote that meant them never to be sealed or rolled up."""
    found: list[tuple[Entry, str]] = []
    for entry, statement in _FUTURE.items():
        found += [(entry, identity) for (identity,) in connection.exec_driver_sql(statement, {"tenant": tenant, "limit": limit})]
    return found


def waiting(connection: Connection, tenant: str, horizon: int) -> int:
    """Entries that the next seals will take."""
    values = {"tenant": tenant, "horizon": str(horizon)}
    return sum(int(connection.exec_driver_sql(statement, values).scalar_one()) for statement in _WAITING.values())


def _contents(entry: Entry, rows: Iterable[Sequence[str | int | None]]) -> Iterator[Content]:
    names = list(FIELDS[entry])
    tenant, identity = names.index("tenant_id"), names.index("id")
    for row in rows:
        yield Content(str(row[tenant]), entry, str(row[identity]), canonical(entry, row))


def _columns(entry: Entry) -> str:
    return ", ".join(_WRITTEN[form].format(name) for name, form in FIELDS[entry].items())


# Built of constants of the program only.
_BY_TRANSACTION: Final = {
    entry: f"SELECT {_columns(entry)} FROM {table} WHERE xid >= %(lower)s::xid8 AND xid < %(upper)s::xid8 ORDER BY xid, id"  # noqa: S608
    for entry, table in _TABLES.items()
}
_BY_ID: Final = {
    entry: f"SELECT {_columns(entry)} FROM {table} WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s::uuid[])"  # noqa: S608
    for entry, table in _TABLES.items()
}
_NOT_SEALED: Final = {
    entry: (
        f"SELECT e.id::text FROM {table} e WHERE e.tenant_id = %(tenant)s AND e.xid < %(horizon)s::xid8"  # noqa: S608
        " AND NOT EXISTS (SELECT FROM ledger_leaves f WHERE f.tenant_id = e.tenant_id AND f.entry_id = e.id) LIMIT %(limit)s"
    )
    for entry, table in _TABLES.items()
}
_FUTURE: Final = {
    entry: (
        f"SELECT id::text FROM {table} WHERE tenant_id = %(tenant)s"  # noqa: S608
        " AND xid >= pg_snapshot_xmax(pg_current_snapshot()) LIMIT %(limit)s"
    )
    for entry, table in _TABLES.items()
}
_WAITING: Final = {
    entry: (
        f"SELECT count(*) FROM {table} WHERE tenant_id = %(tenant)s AND xid >= %(horizon)s::xid8"  # noqa: S608
        " AND xid < pg_snapshot_xmax(pg_current_snapshot())"
    )
    for entry, table in _TABLES.items()
}
