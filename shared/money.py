"""Money is an amount and a currency; a float is never money."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NewType

Currency = NewType("Currency", str)

# ISO 4217 currencies whose minor unit is not 1/100. Source: ISO 4217 list one, columns "Ccy" and "CcyMnrUnts".
_MINOR_DIGITS = {
    "BHD": 3, "BIF": 0, "CLF": 4, "CLP": 0, "DJF": 0, "GNF": 0, "IQD": 3, "ISK": 0, "JOD": 3, "JPY": 0, "KMF": 0, "KRW": 0,
    "KWD": 3, "LYD": 3, "OMR": 3, "PYG": 0, "RWF": 0, "TND": 3, "UGX": 0, "UYI": 0, "UYW": 4, "VND": 0, "VUV": 0, "XAF": 0,
    "XOF": 0, "XPF": 0,
}  # fmt: skip


def currency(code: str) -> Currency:
    """Raises ValueError where ``code`` is not three capital letters."""
    if len(code) != 3 or not code.isascii() or not code.isalpha() or not code.isupper():
        raise ValueError(f"not a currency code: {code!r}")
    return Currency(code)


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An exact amount in one currency.

    Raises:
        TypeError: the amount is not a Decimal.
        ValueError: it is not finite, the currency is no code, or two currencies meet in one sum.
    """

    amount: Decimal
    currency: Currency

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal):
            raise TypeError("money needs a Decimal amount")
        if not self.amount.is_finite():
            raise ValueError("money needs a finite amount")
        currency(self.currency)

    def __add__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.amount - other.amount, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.amount, self.currency)

    def __mul__(self, factor: Decimal | int) -> Money:
        if isinstance(factor, float):
            raise TypeError("money is never multiplied by a float")
        return Money(self.amount * factor, self.currency)

    def rounded(self) -> Money:
        """Half-even, to the currency's minor unit: once, where an amount is posted or shown."""
        digits = _MINOR_DIGITS.get(self.currency, 2)
        return Money(self.amount.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN), self.currency)

    def _same_currency(self, other: Money) -> None:
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} are not added without a dated rate")
