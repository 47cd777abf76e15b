"""The sealed ledger: seals, and proofs for an auditor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from services.roi.seal_schemas import ConsistencyProof, InclusionProof, Seal
from shared.db import unit_of_work
from shared.errors import NotFound
from shared.ledger import proofs, tree
from shared.web.pagination import Page

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Engine


def newest(connection: Connection, tenant: str, as_of: datetime | None) -> Seal | None:
    """At a moment, or now; None before anything was sealed."""
    if as_of is None:
        found = next(iter(tree.seals(connection, tenant, before=None, limit=1)), None)
    else:
        found = tree.seal_at(connection, tenant, as_of)
    return None if found is None else Seal.of(found)


@dataclass(frozen=True, slots=True)
class SealedLedger:
    """Every answer is of one snapshot, so that a seal and the path to its root belong together."""

    engine: Engine

    def seals(self, tenant: str, before: int | None, limit: int) -> Page[Seal]:
        with unit_of_work(self.engine, tenant=tenant) as connection:
            found = tree.seals(connection, tenant, before=before, limit=limit + 1)
        more = str(found[limit - 1].n) if len(found) > limit else None
        return Page[Seal](items=[Seal.of(seal) for seal in found[:limit]], next_cursor=more)

    def seal(self, tenant: str, n: int) -> Seal:
        """Raises NotFound."""
        with unit_of_work(self.engine, tenant=tenant) as connection:
            found = tree.seal_of(connection, tenant, n)
        if found is None:
            raise NotFound("There is no such seal.")
        return Seal.of(found)

    def inclusion(self, tenant: str, entry_id: UUID, n: int | None) -> InclusionProof:
        """As `proofs.of_entry`."""
        with unit_of_work(self.engine, tenant=tenant, snapshot=True) as connection:
            return InclusionProof.of(proofs.of_entry(connection, tenant, entry_id, n))

    def consistency(self, tenant: str, older: int, newer: int) -> ConsistencyProof:
        """As `proofs.between`."""
        with unit_of_work(self.engine, tenant=tenant, snapshot=True) as connection:
            return ConsistencyProof.of(proofs.between(connection, tenant, older, newer))
