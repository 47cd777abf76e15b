"""Checks of a normalised invoice. Each finding is a reason code; the arithmetic ones are business rules of EN 16931-1."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final

from shared.automations.invoices.invoice import Invoice

_ZERO: Final = Decimal(0)
_HALF_CENT: Final = Decimal("0.005")
# BR-CO-17 is checked by the reference Schematron with one unit of tolerance, because rounding per line is allowed.
_TAX_TOLERANCE: Final = Decimal(1)
_VAT_ID: Final = re.compile(r"[A-Z]{2}[A-Z0-9+*]{2,13}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_IBAN: Final = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{10,30}")
_SEPARATORS: Final = re.compile(r"[\s.\-/]")


def differs(left: Decimal, right: Decimal) -> bool:
    """True where two amounts are not equal in the second decimal."""
    return abs(left - right) > _HALF_CENT


def normalised_id(identifier: str) -> str:
    return _SEPARATORS.sub("", identifier).upper()


def is_iban(text: str) -> bool:
    """ISO 13616: shape, and remainder 1 modulo 97."""
    iban = _SEPARATORS.sub("", text).upper()
    if not _IBAN.fullmatch(iban) or not iban.isascii():
        return False
    rearranged = iban[4:] + iban[:4]
    return int("".join(str(int(character, 36)) for character in rearranged)) % 97 == 1


def _missing(invoice: Invoice) -> Iterator[str]:
    """BR-02 to BR-15: what every invoice must say."""
    mandatory = {
        "number_missing": invoice.number,
        "issue_date_missing": invoice.issue_date,
        "currency_missing": invoice.currency,
        "seller_missing": invoice.seller.name,
        "buyer_missing": invoice.buyer.name,
        "net_missing": invoice.totals.net,
        "gross_missing": invoice.totals.gross,
        "payable_missing": invoice.totals.payable,
    }
    yield from (code for code, value in mandatory.items() if value is None or value == "")
    if invoice.has_lines and not invoice.lines:
        yield "lines_missing"


def _malformed(invoice: Invoice) -> Iterator[str]:
    if invoice.currency and not _CURRENCY.fullmatch(invoice.currency):
        yield "currency_malformed"
    if invoice.issue_date and invoice.due_date and invoice.due_date < invoice.issue_date:
        yield "due_before_issue"
    if invoice.seller.vat_id and not _VAT_ID.fullmatch(normalised_id(invoice.seller.vat_id)):
        yield "seller_vat_id_malformed"
    # An account that does not begin like an IBAN is a domestic number, which EN 16931 allows.
    if any(account[:2].isalpha() and not is_iban(account) for account in invoice.ibans):
        yield "iban_wrong"


def _line_sum(invoice: Invoice) -> Iterator[str]:
    """BR-CO-10: the sum of line net amounts."""
    amounts = [line.net for line in invoice.lines]
    if any(amount is None for amount in amounts):
        yield "line_amount_missing"
    elif amounts and invoice.totals.lines is not None and differs(sum((a for a in amounts if a is not None), _ZERO), invoice.totals.lines):
        yield "line_sum_differs"


def _allowance_sum(invoice: Invoice) -> Iterator[str]:
    """BR-CO-11 and BR-CO-12, where single allowances and charges are given."""
    if invoice.allowances and differs(sum(invoice.allowances, _ZERO), invoice.totals.allowances or _ZERO):
        yield "allowance_sum_differs"
    if invoice.charges and differs(sum(invoice.charges, _ZERO), invoice.totals.charges or _ZERO):
        yield "charge_sum_differs"


def _net(invoice: Invoice) -> Iterator[str]:
    """BR-CO-13: lines minus allowances plus charges."""
    totals = invoice.totals
    if totals.lines is None or totals.net is None:
        return
    if differs(totals.lines - (totals.allowances or _ZERO) + (totals.charges or _ZERO), totals.net):
        yield "net_differs"


def _tax_sum(invoice: Invoice) -> Iterator[str]:
    """BR-CO-14: the VAT total is the sum of the breakdown."""
    amounts = [subtotal.amount for subtotal in invoice.taxes if subtotal.amount is not None]
    if amounts and differs(sum(amounts, _ZERO), invoice.totals.tax or _ZERO):
        yield "tax_sum_differs"


def _tax_rates(invoice: Invoice) -> Iterator[str]:
    """BR-CO-17: each VAT amount is basis times rate."""
    for subtotal in invoice.taxes:
        if subtotal.basis is None or subtotal.amount is None or subtotal.rate is None:
            continue
        if abs(subtotal.basis * subtotal.rate / 100 - subtotal.amount) > _TAX_TOLERANCE:
            yield "tax_rate_differs"
            return


def _gross(invoice: Invoice) -> Iterator[str]:
    """BR-CO-15: net plus VAT."""
    totals = invoice.totals
    if totals.net is not None and totals.gross is not None and differs(totals.net + (totals.tax or _ZERO), totals.gross):
        yield "gross_differs"


def _payable(invoice: Invoice) -> Iterator[str]:
    """BR-CO-16: gross minus prepaid plus rounding, plus what is collected for third parties (BR-DEX-09)."""
    totals = invoice.totals
    if totals.gross is None or totals.payable is None:
        return
    expected = totals.gross - (totals.prepaid or _ZERO) + (totals.rounding or _ZERO)
    if not differs(expected, totals.payable) or not differs(expected + (totals.third_party or _ZERO), totals.payable):
        return
    yield "payable_differs"


ARITHMETIC: Final[tuple[Callable[[Invoice], Iterator[str]], ...]] = (
    _line_sum,
    _allowance_sum,
    _net,
    _tax_sum,
    _tax_rates,
    _gross,
    _payable,
)


def arithmetic(invoice: Invoice) -> tuple[str, ...]:
    return tuple(code for check in ARITHMETIC for code in check(invoice))


def findings(invoice: Invoice) -> tuple[str, ...]:
    """Every reason why this invoice cannot be posted unseen; empty where it is formally right."""
    return (*_missing(invoice), *_malformed(invoice), *arithmetic(invoice))
