"""Hashes a tenant's ledger anew from what it is made of, and compares it with every seal. Trusts nothing that was kept but the seals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

import orjson

from shared.ledger import entries, merkle, tree
from shared.ledger.canonical import Entry
from shared.ledger.seals import Seal, written
from shared.ledger.tiles import Edge, Node

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from shared.ledger.tree import Leaf

PORTION = 5000
# Findings of one code that are told one by one.
SHOWN = 20
# A transaction books at its beginning and ends before it is sealed; none takes this long.
TOLERANCE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was sealed.

    Attributes:
        code: one of the words of docs/decisions/0011.
    """

    code: str
    what: str


@dataclass(slots=True)
class Verdict:
    """What a verification found.

    Attributes:
        leaves: entries that were hashed anew.
        waiting: entries that the next seals will take.
        counts: of all findings by code; only the first of each are listed.
    """

    tenant_id: str
    leaves: int = 0
    seals: int = 0
    waiting: int = 0
    newest: Seal | None = None
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def add(self, code: str, what: str) -> None:
        self.counts[code] += 1
        if self.counts[code] <= SHOWN:
            self.findings.append(Finding(code, what))


def verify(connection: Connection, tenant: str, kept: Sequence[Seal] = (), progress: Callable[[int], None] = lambda _: None) -> Verdict:
    """Verify all of a tenant's ledger; call it in a snapshot.

    Args:
        kept: seals that somebody kept elsewhere; whoever may change everything here cannot change those.
        progress: called with how many more leaves are done.

    Raises:
        LedgerDamaged: a leaf is of no kind that there is.
    """
    # Millions of leaves take longer than any request may.
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    verdict = Verdict(tenant)
    walk = _Walk(connection, verdict)
    start = 0
    while leaves := tree.leaves(connection, tenant, start=start, limit=PORTION):
        walk.go_over(leaves)
        start = leaves[-1].leaf_index + 1
        progress(len(leaves))
    walk.end()
    _look_outside(connection, verdict)
    for seal in kept:
        _compare(connection, verdict, seal)
    return verdict


class _Walk:
    """Goes over leaves and seals side by side: a seal is looked at when the tree has its size."""

    def __init__(self, connection: Connection, verdict: Verdict) -> None:
        self._connection = connection
        self._verdict = verdict
        self._edge = Edge()
        self._missing = 0
        self._root = merkle.EMPTY_ROOT
        self._rooted = 0
        self._good = True
        self._seals = self._all_seals()
        self._last: Seal | None = None
        self._next = next(self._seals, None)

    def go_over(self, leaves: Sequence[Leaf]) -> None:
        contents = self._contents(leaves)
        nodes: list[Node] = []
        for leaf in leaves:
            self._pass_seals()
            if leaf.leaf_index != self._edge.size + self._missing:
                self._missing_leaves(leaf)
            self._check_entry(leaf, contents.get((leaf.entry, leaf.entry_id)))
            nodes += self._edge.append(leaf.hash)
        self._check_nodes(nodes)
        self._verdict.leaves += len(leaves)

    def end(self) -> None:
        self._pass_seals()
        while self._next is not None:
            self._verdict.add("leaf_missing", f"seal {self._next.n} has {self._next.size} leaves, {self._edge.size} are there")
            self._advance()
        self._verdict.newest = self._last
        if self._last is None and self._edge.size:
            self._verdict.add("seal_missing", f"{self._edge.size} leaves, and no seal")

    def _missing_leaves(self, leaf: Leaf) -> None:
        expected = self._edge.size + self._missing
        self._verdict.add("leaf_missing", f"leaves {expected} to {leaf.leaf_index - 1}")
        self._missing = leaf.leaf_index - self._edge.size

    def _pass_seals(self) -> None:
        while self._next is not None and self._next.size <= self._edge.size:
            self._check_root(self._next)
            self._advance()

    def _advance(self) -> None:
        assert self._next is not None
        _check_order(self._verdict, self._last, self._next)
        self._verdict.seals += 1
        self._last, self._next = self._next, next(self._seals, None)

    def _check_root(self, seal: Seal) -> None:
        if not self._good:
            return
        if self._rooted != self._edge.size:
            self._root, self._rooted = self._edge.root(), self._edge.size
        if (seal.size, seal.root) != (self._edge.size, self._root):
            # All later ones differ as well; once is enough.
            self._good = False
            self._verdict.add("root_differs", f"seal {seal.n}: the leaves up to it have another root than was sealed")

    def _check_entry(self, leaf: Leaf, content: bytes | None) -> None:
        if content is None:
            self._verdict.add("entry_missing", f"{leaf.entry} {leaf.entry_id} (leaf {leaf.leaf_index}) is not in this tenant's ledger")
        elif merkle.leaf_hash(content) != leaf.hash:
            self._verdict.add(
                "entry_changed", f"{leaf.entry} {leaf.entry_id} (leaf {leaf.leaf_index}) is not what was sealed: {content.decode()}"
            )
        elif self._next is not None:
            self._check_moment(leaf, content, self._next)

    def _check_moment(self, leaf: Leaf, content: bytes, seal: Seal) -> None:
        values = orjson.loads(content)
        moment = values["booked_at" if leaf.entry is Entry.LINE else "created_at"]
        earliest = "" if self._last is None else written(self._last.sealed_at - TOLERANCE)
        if not earliest <= moment <= written(seal.sealed_at + TOLERANCE):
            self._verdict.add("backdated", f"{leaf.entry} {leaf.entry_id} says {moment}, but came between seals {seal.n - 1} and {seal.n}")

    def _check_nodes(self, nodes: Sequence[Node]) -> None:
        for level, group in groupby(sorted(nodes, key=attrgetter("level", "number")), key=attrgetter("level")):
            expected = list(group)
            found = tree.nodes(self._connection, self._verdict.tenant_id, level, expected[0].number, len(expected))
            if found != expected:
                self._verdict.add(
                    "node_differs", f"level {level}, from number {expected[0].number}: kept hashes are not those of the leaves"
                )

    def _contents(self, leaves: Sequence[Leaf]) -> dict[tuple[Entry, str], bytes]:
        found: dict[tuple[Entry, str], bytes] = {}
        for entry in Entry:
            ids = [leaf.entry_id for leaf in leaves if leaf.entry is entry]
            for identity, content in entries.by_id(self._connection, self._verdict.tenant_id, entry, ids).items():
                found[entry, identity] = content
        return found

    def _all_seals(self) -> Iterator[Seal]:
        first = 0
        while portion := tree.seals_from(self._connection, self._verdict.tenant_id, first=first, limit=PORTION):
            yield from portion
            first = portion[-1].n + 1


def _check_order(verdict: Verdict, last: Seal | None, seal: Seal) -> None:
    n, previous = (1, None) if last is None else (last.n + 1, last.hash())
    if seal.n != n:
        verdict.add("seal_missing", f"seal {n} is missing before seal {seal.n}")
    elif seal.previous != previous:
        verdict.add("seal_differs", f"seal {seal.n} does not follow from seal {n - 1}: one of them is not what was sealed")
    elif last is not None and (seal.size < last.size or seal.horizon < last.horizon or seal.sealed_at < last.sealed_at):
        verdict.add("seal_differs", f"seal {seal.n} is older than seal {last.n}")


def _look_outside(connection: Connection, verdict: Verdict) -> None:
    """For what is in the ledger's tables, and in no leaf."""
    horizon = tree.horizon(connection)
    for entry, identity in entries.not_sealed(connection, verdict.tenant_id, horizon, SHOWN):
        verdict.add("entry_not_sealed", f"{entry} {identity} claims to be older than the seals, none of which has it")
    for entry, identity in entries.from_the_future(connection, verdict.tenant_id, SHOWN):
        verdict.add("entry_not_sealed", f"{entry} {identity} claims a transaction that has not begun")
    verdict.waiting = entries.waiting(connection, verdict.tenant_id, horizon)


def _compare(connection: Connection, verdict: Verdict, kept: Seal) -> None:
    found = None if kept.tenant_id != verdict.tenant_id else tree.seal_of(connection, kept.tenant_id, kept.n)
    if found != kept:
        verdict.add("kept_seal_contradicted", f"seal {kept.n} of {kept.tenant_id} as it was kept elsewhere is not the one that is here")
