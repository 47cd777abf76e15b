"""An invoice before it gets a syntax: amounts that add up, unless a fault is planted."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from services.lab.synth.vendors import DOUBTFUL, GOODS, Vendor

_CENT: Final = Decimal("0.01")
BUYER: Final = "Nordwind Maschinenbau AG"


def cents(amount: Decimal | float) -> Decimal:
    return Decimal(amount).quantize(_CENT, rounding=ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class DraftLine:
    description: str
    quantity: Decimal
    price: Decimal
    net: Decimal


@dataclass(frozen=True, slots=True)
class Draft:
    """Amounts in the vendor's currency. ``overrides`` are planted faults: a field's name and its wrong value."""

    number: str
    issued: date
    due: date | None
    vendor: Vendor
    lines: tuple[DraftLine, ...]
    allowance: Decimal
    prepaid: Decimal
    is_credit_note: bool
    order: str | None
    iban: str
    seller_known: bool | None
    order_matched: bool | None
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def line_total(self) -> Decimal:
        return sum((line.net for line in self.lines), Decimal(0))

    @property
    def amounts(self) -> dict[str, str]:
        """What the document says, faults included."""
        net = self.line_total - self.allowance
        tax = cents(net * self.vendor.rate / 100)
        right = {
            "line_total": self.line_total,
            "allowance_total": self.allowance,
            "net": net,
            "tax": tax,
            "gross": net + tax,
            "prepaid": self.prepaid,
            "payable": net + tax - self.prepaid,
        }
        return {name: self.overrides.get(name, f"{amount:.2f}") for name, amount in right.items()}


def _line(rng: random.Random, description: str, price: float, quantity: int) -> DraftLine:
    unit = cents(price * rng.uniform(0.8, 1.3))
    return DraftLine(description, Decimal(quantity), unit, cents(unit * quantity))


def _lines(rng: random.Random, vendor: Vendor) -> tuple[DraftLine, ...]:
    goods = GOODS[vendor.trade]
    lines = []
    for description, price in rng.choices(goods, k=rng.choice((1, 1, 2, 3, 5))):
        quantity = rng.choice((1, 1, 2, 4, 10)) if price > 1 else rng.randrange(200, 9_000)
        lines.append(_line(rng, description, price, quantity))
    return tuple(lines)


def draft(rng: random.Random, vendor: Vendor, number: int, today: date) -> Draft:
    """An ordinary invoice of a known vendor that adds up."""
    lines = _lines(rng, vendor)
    total = sum((line.net for line in lines), Decimal(0))
    issued = today - timedelta(days=rng.randrange(0, 6))
    matched = rng.random() < 0.75
    return Draft(
        number=f"{vendor.prefix}{number:06d}",
        issued=issued,
        due=issued + timedelta(days=rng.choice((7, 14, 14, 30, 30, 60))) if rng.random() < 0.93 else None,
        vendor=vendor,
        lines=lines,
        allowance=cents(total * Decimal("0.03")) if rng.random() < 0.1 else Decimal(0),
        prepaid=cents(total * Decimal("0.2")) if rng.random() < 0.05 else Decimal(0),
        is_credit_note=rng.random() < 0.03,
        order=f"PO-{rng.randrange(10_000, 99_999)}" if matched or rng.random() < 0.3 else None,
        iban=vendor.iban,
        seller_known=True if rng.random() < 0.95 else None,
        order_matched=matched,
    )


def doubtful(rng: random.Random, invoice: Draft) -> Draft:
    """The same invoice with a line that makes an accountant ask."""
    description, price = rng.choice(DOUBTFUL)
    return replace(invoice, lines=(*invoice.lines, _line(rng, description, price, 1)))


def _shifted(invoice: Draft, name: str, by: Decimal) -> Draft:
    return replace(invoice, overrides={name: f"{Decimal(invoice.amounts[name]) + by:.2f}"})


def _wrong_iban(invoice: Draft) -> Draft:
    last = invoice.iban[-1]
    return replace(invoice, iban=invoice.iban[:-1] + str((int(last) + 1) % 10))


def _due_before_issue(invoice: Draft) -> Draft:
    return replace(invoice, due=invoice.issued - timedelta(days=12))


FAULTS: Final[tuple[Callable[[random.Random, Draft], Draft], ...]] = (
    lambda rng, d: _shifted(d, "line_total", cents(rng.uniform(1, 90))),
    lambda rng, d: _shifted(d, "tax", cents(rng.uniform(2, 40))),
    lambda rng, d: _shifted(d, "gross", cents(rng.uniform(0.1, 200))),
    lambda rng, d: _shifted(d, "payable", cents(rng.choice((10, 100, 1000, 0.9)))),
    lambda _, d: _wrong_iban(d),
    lambda _, d: _due_before_issue(d),
    lambda _, d: replace(d, number=""),
)
