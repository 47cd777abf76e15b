"""Seals what was booked: off the line's way, in portions, exactly once whatever is killed when.

Leaves are taken in windows of transactions below every transaction that still runs (docs/decisions/0004), because neither ids nor clocks
are committed in order. Whoever locks the horizon's row seals; leaves, kept nodes, seals and the new horizon are one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.ledger import entries, merkle, tree
from shared.ledger.seals import Seal
from shared.ledger.tree import Head, Leaf, LedgerDamaged

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from shared.ledger.entries import Content
    from shared.ledger.tiles import Edge, Node

# Lines of one transaction of ours: about a second of work after an outage.
LINES = 20_000
# A tenant that books nothing is sealed too: that nothing was booked is a fact, and nothing can be dated back behind a seal.
QUIET = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Window:
    """Transactions ``lower <= xid < upper``, all of them ended.

    Attributes:
        complete: every transaction that had ended at ``at`` is in it or before it.
    """

    lower: int
    upper: int
    at: datetime
    complete: bool


@dataclass(frozen=True, slots=True)
class Progress:
    entries: int
    seals: int
    complete: bool


def seal(connection: Connection, *, lines: int = LINES, quiet: timedelta = QUIET) -> Progress | None:
    """Append one window of entries to the tenants' trees, and seal them if nothing is left; None where another steward does.

    Raises:
        LedgerDamaged: the kept tree is incomplete. Nothing is sealed on top of it, for any tenant, until it is restored.
    """
    window = _lock_window(connection, lines)
    if window is None:
        return None
    portions = _by_tenant(entries.committed_between(connection, window.lower, window.upper))
    heads = tree.heads(connection, list(portions))
    _refuse_damage(heads)
    due = [head for head in heads if window.complete and _is_due(head, portions, window.at - quiet)]
    grown = tree.edges(connection, _sizes(heads, portions, due))
    _append(connection, portions, grown)
    seals = [_next_seal(head, grown.get(head.tenant_id), window) for head in due]
    if seals:
        tree.append_seals(connection, seals)
    connection.exec_driver_sql(_ADVANCE, {"upper": str(window.upper), "complete": window.complete})
    return Progress(sum(map(len, portions.values())), len(seals), window.complete)


def _lock_window(connection: Connection, lines: int) -> Window | None:
    row = connection.exec_driver_sql(_LOCK).one_or_none()
    if row is None:
        return None
    lower = int(row[0])
    # A second statement: its snapshot is newer than the lock, and its moment is later than every booking that it sees.
    oldest_running, last, at = connection.exec_driver_sql(_BOUNDS, {"lower": str(lower), "lines": lines}).one()
    horizon = max(int(oldest_running), lower)
    upper = horizon if last is None else min(horizon, int(last) + 1)
    return Window(lower, upper, at, complete=upper == horizon)


def _by_tenant(contents: Iterable[Content]) -> dict[str, list[Content]]:
    portions: dict[str, list[Content]] = {}
    for content in contents:
        portions.setdefault(content.tenant_id, []).append(content)
    return portions


def _refuse_damage(heads: Iterable[Head]) -> None:
    for head in heads:
        if head.seal is not None and head.size < head.seal.size:
            raise LedgerDamaged(tenant=head.tenant_id, sealed=head.seal.size, kept=head.size)


def _is_due(head: Head, portions: dict[str, list[Content]], quiet_since: datetime) -> bool:
    if head.seal is None or head.tenant_id in portions:
        return True
    return head.size > head.seal.size or head.seal.sealed_at <= quiet_since


def _sizes(heads: Iterable[Head], portions: dict[str, list[Content]], due: Sequence[Head]) -> dict[str, int]:
    """Trees whose edge is needed: those that grow, and those that grew before their last leaves could be sealed."""
    unsealed = {head.tenant_id for head in due if head.size and (head.seal is None or head.size > head.seal.size)}
    return {head.tenant_id: head.size for head in heads if head.tenant_id in portions or head.tenant_id in unsealed}


def _append(connection: Connection, portions: dict[str, list[Content]], grown: dict[str, Edge]) -> None:
    leaves: list[Leaf] = []
    nodes: dict[str, list[Node]] = {tenant: [] for tenant in portions}
    for tenant, contents in portions.items():
        edge = grown[tenant]
        for content in contents:
            leaf = Leaf(tenant, edge.size, content.entry, content.id, merkle.leaf_hash(content.bytes))
            leaves.append(leaf)
            nodes[tenant] += edge.append(leaf.hash)
    if leaves:
        tree.append(connection, leaves, nodes)


def _next_seal(head: Head, edge: Edge | None, window: Window) -> Seal:
    last = head.seal
    if edge is not None:
        size, root = edge.size, edge.root()
    else:
        size, root = (0, merkle.EMPTY_ROOT) if last is None else (last.size, last.root)
    return Seal(
        tenant_id=head.tenant_id,
        n=1 if last is None else last.n + 1,
        size=size,
        root=root,
        previous=None if last is None else last.hash(),
        horizon=window.upper,
        # A clock that was set back does not bring the order of the seals into doubt.
        sealed_at=window.at if last is None else max(window.at, last.sealed_at),
    )


_LOCK = "SELECT horizon::text FROM rollup_horizons WHERE name = 'seals' FOR UPDATE SKIP LOCKED"
_BOUNDS = (
    "SELECT pg_snapshot_xmin(pg_current_snapshot())::text,"
    " (SELECT xid::text FROM ledger_lines WHERE xid >= %(lower)s::xid8 ORDER BY xid OFFSET %(lines)s LIMIT 1), clock_timestamp()"
)
_ADVANCE = (
    # Another sealer's transaction may have begun later and ended sooner.
    "UPDATE rollup_horizons SET horizon = %(upper)s::xid8,"
    " rolled_at = CASE WHEN %(complete)s THEN greatest(rolled_at, now()) ELSE rolled_at END"
    " WHERE name = 'seals'"
)
