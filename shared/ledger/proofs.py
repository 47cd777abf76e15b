"""Proofs that an auditor checks without us: an entry is in a sealed ledger, and a later seal has taken nothing back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from shared.errors import Conflict, NotFound
from shared.ledger import entries, merkle, tree
from shared.ledger.canonical import Entry
from shared.ledger.seals import Seal
from shared.ledger.tree import Leaf, LedgerDamaged

if TYPE_CHECKING:
    from sqlalchemy import Connection


class NotSealedYet(Conflict):
    """That seal does not cover this entry; the next one is about a second away."""

    code = "not_sealed_yet"


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Attributes: content: canonical bytes of the entry; path: from the leaf upwards."""

    seal: Seal
    leaf: Leaf
    content: bytes
    path: list[bytes]


@dataclass(frozen=True, slots=True)
class Consistency:
    older: Seal
    newer: Seal
    path: list[bytes]


def of_entry(connection: Connection, tenant: str, entry_id: UUID, n: int | None) -> Inclusion:
    """That a line, rate or baseline is in the ledger as of seal ``n``, None being the newest.

    Raises:
        NotFound: no such entry, or seal.
        NotSealedYet: the entry came later.
        LedgerDamaged: it was sealed and is gone.
    """
    seal = _seal(connection, tenant, n)
    leaf = tree.leaf_of(connection, tenant, entry_id)
    if leaf is None:
        raise NotSealedYet if _exists(connection, tenant, entry_id) else NotFound
    if leaf.leaf_index >= seal.size:
        raise NotSealedYet
    content = entries.by_id(connection, tenant, leaf.entry, [leaf.entry_id]).get(leaf.entry_id)
    if content is None:
        raise LedgerDamaged(tenant=tenant, leaf=leaf.leaf_index)
    path = tree.span_hashes(connection, tenant, merkle.inclusion_spans(leaf.leaf_index, seal.size))
    return Inclusion(seal, leaf, content, path)


def between(connection: Connection, tenant: str, older: int, newer: int) -> Consistency:
    """That seal ``newer`` only added to seal ``older``.

    Raises:
        NotFound: no such seal.
        Conflict: they are in the wrong order.
    """
    if older > newer:
        raise Conflict("`from` must be the older seal.")
    first, second = _seal(connection, tenant, older), _seal(connection, tenant, newer)
    return Consistency(first, second, tree.span_hashes(connection, tenant, merkle.consistency_spans(first.size, second.size)))


def _seal(connection: Connection, tenant: str, n: int | None) -> Seal:
    if n is None:
        newest = tree.seals(connection, tenant, before=None, limit=1)
        found = newest[0] if newest else None
    else:
        found = tree.seal_of(connection, tenant, n)
    if found is None:
        raise NotFound("There is no such seal.")
    return found


def _exists(connection: Connection, tenant: str, entry_id: UUID) -> bool:
    return any(entries.by_id(connection, tenant, entry, [str(entry_id)]) for entry in Entry)
