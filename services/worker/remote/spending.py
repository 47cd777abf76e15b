"""Money that calls may take: held back before, settled after, and counted where a restart does not forget it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from services.worker.remote.pricing import Tokens
from shared.money import Money


@dataclass(frozen=True, slots=True)
class Planned:
    """A call that is about to be made.

    Attributes:
        call_id: of this call alone; a case that is called for again gets another one.
        tokens, most: no more than this is charged.
    """

    call_id: UUID
    case_id: UUID
    tenant_id: str
    automation: str
    model: str
    tokens: Tokens
    most: Money


@dataclass(frozen=True, slots=True)
class Settled:
    """What a planned call took; nothing at all where it was not charged."""

    call_id: UUID
    tokens: Tokens
    money: Money
    charged: bool


class Spending(Protocol):
    """Both take effect at once and for good, in transactions of their own: money that was paid stays paid whatever becomes of the case."""

    def hold(self, calls: Sequence[Planned], cap: Money) -> set[UUID]:
        """Hold back what these calls may take; returns those that fit under the tenant's cap of today, earlier ones first.

        Raises:
            Retryable: the database is away, so nothing may be called.
        """
        ...

    def settle(self, calls: Sequence[Settled]) -> None:
        """Replace what was held back by what was paid."""
        ...
