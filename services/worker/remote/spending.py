"""Money that calls may take: held back before, settled after, and counted where a restart does not forget it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from services.worker.remote.pricing import Price, Tokens
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
    """What is held and settled takes effect at once, in transactions of its own: what was paid stays paid whatever becomes of the case."""

    def prices(self, rate: str, otherwise: Price, tenants: Collection[str]) -> Mapping[str, Price]:
        """Prices that tenants have agreed on themselves and that are valid now; absent where ``otherwise`` holds.

        Args:
            rate: name of the rates, without direction.
            otherwise: what is not a price of tokens is taken from here; a price in another currency cannot be held against the cap.
        """
        ...

    def hold(self, calls: Sequence[Planned], cap: Money) -> set[UUID]:
        """Hold back what these calls may take; returns those that fit under the tenant's cap of today, earlier ones first.

        Raises:
            Retryable: the database is away, so nothing may be called.
        """
        ...

    def settle(self, calls: Sequence[Settled]) -> None:
        """Replace what was held back by what was paid."""
        ...
