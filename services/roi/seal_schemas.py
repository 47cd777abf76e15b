"""The sealed ledger as the ROI API answers it; hashes are hexadecimal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field

from services.roi.schemas import Output
from shared.ledger.seals import written

if TYPE_CHECKING:
    from shared.ledger import proofs, seals

Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$", examples=["5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"])]
Instant = Annotated[str, Field(examples=["2026-11-23T08:00:01.500000Z"])]


class Seal(Output):
    """What was in the ledger at a moment. `hash` is SHA-256 of byte 2 and the other members as canonical JSON (RFC 8785)."""

    tenant_id: str = Field(examples=["acme"])
    n: int = Field(description="1, 2, … without a gap.", examples=[1204])
    size: int = Field(description="Entries of the ledger.", examples=[88211])
    root: Hash = Field(description="Root of the Merkle tree (RFC 6962) of all entries.")
    previous: Hash | None = Field(description="Hash of seal n - 1.")
    horizon: int = Field(description="Every database transaction below it had ended and is sealed.", examples=[902331])
    sealed_at: Instant
    hash: Hash

    @classmethod
    def of(cls, seal: seals.Seal) -> Self:
        return cls(
            tenant_id=seal.tenant_id,
            n=seal.n,
            size=seal.size,
            root=seal.root.hex(),
            previous=None if seal.previous is None else seal.previous.hex(),
            horizon=seal.horizon,
            sealed_at=written(seal.sealed_at),
            hash=seal.hash().hex(),
        )


class InclusionProof(Output):
    """That an entry is in the sealed ledger: `leaf` joined with `path` gives the seal's root. `verify_proof.py` checks it offline."""

    seal: Seal
    entry: Literal["line", "rate", "baseline"]
    content: str = Field(description="The entry in its canonical bytes; the leaf's hash is SHA-256 of byte 0 and these.")
    leaf_index: int = Field(examples=[88])
    leaf_hash: Hash
    path: list[Hash] = Field(description="From the leaf upwards.")

    @classmethod
    def of(cls, proof: proofs.Inclusion) -> Self:
        return cls(
            seal=Seal.of(proof.seal),
            entry=proof.leaf.entry.value,
            content=proof.content.decode(),
            leaf_index=proof.leaf.leaf_index,
            leaf_hash=proof.leaf.hash.hex(),
            path=[part.hex() for part in proof.path],
        )


class ConsistencyProof(Output):
    """That the newer seal's ledger begins with all of the older one's, unchanged."""

    older: Seal
    newer: Seal
    path: list[Hash]

    @classmethod
    def of(cls, proof: proofs.Consistency) -> Self:
        return cls(older=Seal.of(proof.older), newer=Seal.of(proof.newer), path=[part.hex() for part in proof.path])
