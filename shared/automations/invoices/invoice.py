"""The normalised invoice: one value, whatever syntax it came in. Names follow the business terms (BT) of EN 16931-1."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import NamedTuple

# UNTDID 1001 codes that reverse money: credit note, factored, consolidated and self-billed credit note, corrective self-billed.
CREDIT_NOTE_TYPES = frozenset({"81", "83", "261", "262", "296", "308", "381", "396", "420", "458", "532"})


class Party(NamedTuple):
    """Seller or buyer; None where the document does not say."""

    name: str | None = None
    vat_id: str | None = None
    country: str | None = None


class InvoiceLine(NamedTuple):
    net: Decimal | None = None
    description: str = ""


class TaxSubtotal(NamedTuple):
    """One row of the VAT breakdown (BG-23)."""

    basis: Decimal | None = None
    amount: Decimal | None = None
    rate: Decimal | None = None


class Totals(NamedTuple):
    """Document totals (BG-22); None where absent, which is not the same as zero.

    Attributes:
        third_party: amounts collected for others (XRechnung extension BG-DEX-09); they raise what is payable.
    """

    lines: Decimal | None = None
    allowances: Decimal | None = None
    charges: Decimal | None = None
    net: Decimal | None = None
    tax: Decimal | None = None
    gross: Decimal | None = None
    prepaid: Decimal | None = None
    rounding: Decimal | None = None
    payable: Decimal | None = None
    third_party: Decimal | None = None


class Invoice(NamedTuple):
    """Amounts are in ``currency`` and positive in credit notes too, as in the documents.

    Attributes:
        allowances: document level allowances; their sum is ``totals.allowances``. Same for ``charges``.
        has_lines: False in profiles without lines (Factur-X MINIMUM, BASIC WL), where the line sum cannot be checked.
    """

    number: str | None = None
    type_code: str | None = None
    issue_date: date | None = None
    due_date: date | None = None
    currency: str | None = None
    seller: Party = Party()
    buyer: Party = Party()
    totals: Totals = Totals()
    lines: tuple[InvoiceLine, ...] = ()
    taxes: tuple[TaxSubtotal, ...] = ()
    allowances: tuple[Decimal, ...] = ()
    charges: tuple[Decimal, ...] = ()
    ibans: tuple[str, ...] = ()
    order_reference: str | None = None
    has_lines: bool = True

    @property
    def is_credit_note(self) -> bool:
        return self.type_code in CREDIT_NOTE_TYPES
