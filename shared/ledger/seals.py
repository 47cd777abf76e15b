"""A seal: how large a tenant's ledger was at a moment, and the root of all that was in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import orjson


@dataclass(frozen=True, slots=True)
class Seal:
    """What was in a tenant's ledger at ``sealed_at``.

    Attributes:
        n: 1, 2, … without a gap.
        size: entries of the ledger, which are the tree's leaves.
        previous: hash of seal n - 1; None in the first.
        horizon: every transaction below this id had ended and is sealed.
    """

    tenant_id: str
    n: int
    size: int
    root: bytes
    previous: bytes | None
    horizon: int
    sealed_at: datetime

    def canonical(self) -> bytes:
        """The bytes that are hashed: JSON with sorted names, hashes in hexadecimal."""
        return orjson.dumps(
            {
                "horizon": self.horizon,
                "n": self.n,
                "previous": None if self.previous is None else self.previous.hex(),
                "root": self.root.hex(),
                "sealed_at": written(self.sealed_at),
                "size": self.size,
                "tenant_id": self.tenant_id,
            }
        )

    def hash(self) -> bytes:
        # Neither a leaf (0) nor a node (1) of a tree can pass for a seal.
        return sha256(b"\x02" + self.canonical()).digest()


def written(moment: datetime) -> str:
    """An instant as in every canonical form: UTC, six decimals, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
