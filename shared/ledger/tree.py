"""Reads and appends the leaves, kept nodes and seals of the tenants' trees."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from shared.errors import InvariantBroken
from shared.ledger import merkle
from shared.ledger.canonical import Entry
from shared.ledger.merkle import Span
from shared.ledger.seals import Seal
from shared.ledger.tiles import Edge, Node, Run, edge_runs, run_of

if TYPE_CHECKING:
    from sqlalchemy import Connection


class LedgerDamaged(InvariantBroken):
    """What is kept of a sealed ledger is incomplete; `recoup ledger verify` says where."""

    code = "ledger_damaged"


class Leaf(NamedTuple):
    """A tuple, because one is made for every line."""

    tenant_id: str
    leaf_index: int
    entry: Entry
    entry_id: str
    hash: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """How far a tenant's tree has come: ``size`` leaves, of which the newest seal, if there is one, covers most or all."""

    tenant_id: str
    size: int
    seal: Seal | None


def heads(connection: Connection, tenants: Sequence[str]) -> list[Head]:
    """Of every tenant, and of those that are named."""
    rows = connection.exec_driver_sql(_HEADS, {"tenants": list(tenants)}).tuples()
    return [Head(tenant, size, None if values[0] is None else Seal(tenant, *values)) for tenant, size, *values in rows]


def edges(connection: Connection, sizes: Mapping[str, int]) -> dict[str, Edge]:
    """The right edges of tenants' trees of these sizes, as of now.

    Raises:
        LedgerDamaged: hashes are missing.
    """
    wanted = [(tenant, run) for tenant, size in sizes.items() for run in edge_runs(size)]
    found = _hashes(connection, wanted)
    levels: dict[str, list[list[bytes]]] = {tenant: [] for tenant in sizes}
    for (tenant, _), hashes in zip(wanted, found, strict=True):
        levels[tenant].append(hashes)
    return {tenant: Edge(size, levels[tenant]) for tenant, size in sizes.items()}


def span_hashes(connection: Connection, tenant: str, spans: Sequence[Span]) -> list[bytes]:
    """The hash of each span of a tenant's tree, from a few hundred kept ones.

    Raises:
        LedgerDamaged: hashes are missing.
    """
    parts = [list(merkle.perfect(span)) for span in spans]
    found = iter(_hashes(connection, [(tenant, run_of(part)) for group in parts for part in group]))
    return [merkle.joined([merkle.balanced(next(found)) for _ in group]) for group in parts]


def append(connection: Connection, leaves: Sequence[Leaf], nodes: Mapping[str, Sequence[Node]]) -> None:
    """Add leaves and the nodes that they completed, by tenant."""
    connection.exec_driver_sql(
        _APPEND_LEAVES,
        {
            "tenants": [leaf.tenant_id for leaf in leaves],
            "places": [leaf.leaf_index for leaf in leaves],
            "entries": [leaf.entry.value for leaf in leaves],
            "ids": [leaf.entry_id for leaf in leaves],
            "hashes": [leaf.hash for leaf in leaves],
        },
    )
    flat = [(tenant, node) for tenant, group in nodes.items() for node in group]
    if flat:
        connection.exec_driver_sql(
            _APPEND_NODES,
            {
                "tenants": [tenant for tenant, _ in flat],
                "levels": [node.level for _, node in flat],
                "numbers": [node.number for _, node in flat],
                "hashes": [node.hash for _, node in flat],
            },
        )


def append_seals(connection: Connection, seals: Sequence[Seal]) -> None:
    connection.exec_driver_sql(
        _APPEND_SEALS,
        {
            "tenants": [seal.tenant_id for seal in seals],
            "numbers": [seal.n for seal in seals],
            "sizes": [seal.size for seal in seals],
            "roots": [seal.root for seal in seals],
            "previous": [seal.previous for seal in seals],
            "horizons": [seal.horizon for seal in seals],
            "moments": [seal.sealed_at for seal in seals],
        },
    )


def seals(connection: Connection, tenant: str, *, before: int | None, limit: int) -> list[Seal]:
    """Newest first, from the one below number ``before``."""
    rows = connection.exec_driver_sql(_SEALS, {"tenant": tenant, "before": before, "limit": limit}).tuples()
    return [Seal(tenant, *row) for row in rows]


def seals_from(connection: Connection, tenant: str, *, first: int, limit: int) -> list[Seal]:
    """Oldest first, from number ``first``."""
    rows = connection.exec_driver_sql(_SEALS_FROM, {"tenant": tenant, "first": first, "limit": limit}).tuples()
    return [Seal(tenant, *row) for row in rows]


def seal_of(connection: Connection, tenant: str, n: int) -> Seal | None:
    row = connection.exec_driver_sql(_SEAL, {"tenant": tenant, "n": n}).tuples().one_or_none()
    return None if row is None else Seal(tenant, *row)


def seal_at(connection: Connection, tenant: str, moment: datetime) -> Seal | None:
    """The newest that was there at a moment; found by halving, because numbers have no gaps and moments never go back.

    Raises:
        LedgerDamaged: a seal is missing.
    """

    def sealed_at(n: int) -> datetime:
        found = seal_of(connection, tenant, n)
        if found is None:
            raise LedgerDamaged(f"There is no seal {n} of tenant {tenant}.")
        return found.sealed_at

    newest = seals(connection, tenant, before=None, limit=1)
    numbers = range(1, newest[0].n + 1) if newest else range(0)
    count = bisect_right(numbers, moment, key=sealed_at)
    return seal_of(connection, tenant, count) if count else None


def leaf_of(connection: Connection, tenant: str, entry_id: UUID) -> Leaf | None:
    row = connection.exec_driver_sql(_LEAF, {"tenant": tenant, "id": entry_id}).tuples().one_or_none()
    return None if row is None else Leaf(tenant, row[0], Entry(row[1]), str(entry_id), row[2])


def leaves(connection: Connection, tenant: str, *, start: int, limit: int) -> list[Leaf]:
    """In order, from index ``start``.

    Raises:
        LedgerDamaged: a leaf is of no kind that there is.
    """
    rows = connection.exec_driver_sql(_LEAVES, {"tenant": tenant, "start": start, "limit": limit}).tuples()
    try:
        return [Leaf(tenant, index, Entry(entry), identity, content) for index, entry, identity, content in rows]
    except ValueError as error:
        raise LedgerDamaged(f"Between leaf {start} and {start + limit} is one of an unknown kind: {error}.") from error


def nodes(connection: Connection, tenant: str, level: int, first: int, limit: int) -> list[Node]:
    """Kept nodes of a level in order, from number ``first``."""
    rows = connection.exec_driver_sql(_NODES, {"tenant": tenant, "level": level, "first": first, "limit": limit}).tuples()
    return [Node(level, number, content) for number, content in rows]


def horizon(connection: Connection) -> int:
    """Every entry of a transaction below it is a leaf."""
    return int(connection.exec_driver_sql("SELECT horizon::text FROM rollup_horizons WHERE name = 'seals'").scalar_one())


def _hashes(connection: Connection, wanted: Sequence[tuple[str, Run]]) -> list[list[bytes]]:
    found: list[list[bytes]] = [[] for _ in wanted]
    for statement, places in (
        (_LEAF_RUNS, [place for place, (_, run) in enumerate(wanted) if run.level == 0]),
        (_NODE_RUNS, [place for place, (_, run) in enumerate(wanted) if run.level > 0]),
    ):
        chosen = [wanted[place] for place in places]
        values = {
            "places": places,
            "tenants": [tenant for tenant, _ in chosen],
            "levels": [run.level for _, run in chosen],
            "firsts": [run.first for _, run in chosen],
            "ends": [run.end for _, run in chosen],
        }
        for place, content in connection.exec_driver_sql(statement, values) if places else ():
            found[place].append(content)
    for (tenant, run), hashes in zip(wanted, found, strict=True):
        if len(hashes) != run.end - run.first:
            raise LedgerDamaged(tenant=tenant, level=run.level, first=run.first, end=run.end)
    return found


_SEAL_COLUMNS = "n, size, root, previous, horizon, sealed_at"
# Lateral with a limit: one index scan for each run, whatever the statistics say.
_LEAF_RUNS = (
    "SELECT w.place, f.hash"
    " FROM unnest(%(places)s::int[], %(tenants)s::text[], %(levels)s::int[], %(firsts)s::bigint[], %(ends)s::bigint[])"
    " AS w(place, tenant, level, first, ending) CROSS JOIN LATERAL (SELECT leaf_index, hash FROM ledger_leaves WHERE tenant_id = w.tenant"
    " AND leaf_index >= w.first AND leaf_index < w.ending ORDER BY leaf_index LIMIT 256) f ORDER BY w.place, f.leaf_index"
)
_NODE_RUNS = (
    "SELECT w.place, f.hash"
    " FROM unnest(%(places)s::int[], %(tenants)s::text[], %(levels)s::int[], %(firsts)s::bigint[], %(ends)s::bigint[])"
    " AS w(place, tenant, level, first, ending) CROSS JOIN LATERAL (SELECT number, hash FROM ledger_nodes WHERE tenant_id = w.tenant"
    " AND level = w.level AND number >= w.first AND number < w.ending ORDER BY number LIMIT 256) f ORDER BY w.place, f.number"
)
_HEADS = (
    "SELECT t.id, coalesce((SELECT f.leaf_index + 1 FROM ledger_leaves f WHERE f.tenant_id = t.id ORDER BY f.leaf_index DESC LIMIT 1), 0),"
    " s.n, s.size, s.root, s.previous, s.horizon, s.sealed_at"
    " FROM (SELECT id FROM tenants UNION SELECT unnest(%(tenants)s::text[])) t LEFT JOIN LATERAL"
    " (SELECT * FROM ledger_seals WHERE tenant_id = t.id ORDER BY n DESC LIMIT 1) s ON true ORDER BY t.id"
)
_APPEND_LEAVES = (
    "INSERT INTO ledger_leaves (tenant_id, leaf_index, entry, entry_id, hash)"
    " SELECT * FROM unnest(%(tenants)b::text[], %(places)b::bigint[], %(entries)b::text[], %(ids)s::uuid[], %(hashes)b::bytea[])"
)
_APPEND_NODES = (
    "INSERT INTO ledger_nodes (tenant_id, level, number, hash)"
    " SELECT * FROM unnest(%(tenants)b::text[], %(levels)s::smallint[], %(numbers)s::bigint[], %(hashes)b::bytea[])"
)
_APPEND_SEALS = (
    "INSERT INTO ledger_seals (tenant_id, n, size, root, previous, horizon, sealed_at)"
    " SELECT * FROM unnest(%(tenants)s::text[], %(numbers)s::bigint[], %(sizes)s::bigint[], %(roots)b::bytea[], %(previous)b::bytea[],"
    " %(horizons)s::bigint[], %(moments)s::timestamptz[])"
)
_SEALS = (
    f"SELECT {_SEAL_COLUMNS} FROM ledger_seals WHERE tenant_id = %(tenant)s AND (%(before)s::bigint IS NULL OR n < %(before)s)"  # noqa: S608
    " ORDER BY n DESC LIMIT %(limit)s"
)
_SEALS_FROM = f"SELECT {_SEAL_COLUMNS} FROM ledger_seals WHERE tenant_id = %(tenant)s AND n >= %(first)s ORDER BY n LIMIT %(limit)s"  # noqa: S608
_SEAL = f"SELECT {_SEAL_COLUMNS} FROM ledger_seals WHERE tenant_id = %(tenant)s AND n = %(n)s"  # noqa: S608
_LEAF = "SELECT leaf_index, entry, hash FROM ledger_leaves WHERE tenant_id = %(tenant)s AND entry_id = %(id)s"
_LEAVES = (
    "SELECT leaf_index, entry, entry_id::text, hash FROM ledger_leaves WHERE tenant_id = %(tenant)s AND leaf_index >= %(start)s"
    " ORDER BY leaf_index LIMIT %(limit)s"
)
_NODES = (
    "SELECT number, hash FROM ledger_nodes WHERE tenant_id = %(tenant)s AND level = %(level)s AND number >= %(first)s"
    " ORDER BY number LIMIT %(limit)s"
)
