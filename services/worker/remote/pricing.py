"""What a call costs: tokens as the provider counts them, at the price of its day. Nothing is rounded but to the ledger's ten decimals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from typing import Final

from shared.money import Currency, Money

_MILLION: Final = Decimal(1_000_000)
_SCALE: Final = Decimal("1e-10")


@dataclass(frozen=True, slots=True)
class Tokens:
    """``known`` is False where the provider did not say; the numbers are then upper bounds."""

    input: int = 0
    output: int = 0
    known: bool = True

    @property
    def total(self) -> int:
        return self.input + self.output


@dataclass(frozen=True, slots=True)
class Price:
    """In one currency: of a million tokens in, of a million tokens out, and of a call itself."""

    input_per_million: Decimal
    output_per_million: Decimal
    per_call: Decimal
    currency: Currency

    def of(self, tokens: Tokens) -> Money:
        """What the ledger books."""
        return Money(self._exact(tokens).quantize(_SCALE, rounding=ROUND_HALF_EVEN), self.currency)

    def at_most(self, tokens: Tokens) -> Money:
        """What is held back before a call: never less than `of` the same tokens."""
        return Money(self._exact(tokens).quantize(_SCALE, rounding=ROUND_CEILING), self.currency)

    def _exact(self, tokens: Tokens) -> Decimal:
        return self.per_call + (self.input_per_million * tokens.input + self.output_per_million * tokens.output) / _MILLION


def price_at(prices: Iterable[tuple[date, Price]], day: date) -> Price | None:
    """The newest price that is valid on that day; None before the first."""
    valid = [(since, price) for since, price in prices if since <= day]
    return max(valid, key=lambda dated: dated[0])[1] if valid else None
