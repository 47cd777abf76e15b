"""Checks of a normalised invoice. Each finding is a reason code; the arithmetic ones are business rules of EN 16931-1."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from string import ascii_uppercase
from typing import Final

from shared.automations.invoices.invoice import Invoice, TaxSubtotal

_ZERO: Final = Decimal(0)
_HALF_CENT: Final = Decimal("0.005")
# BR-CO-17 is checked by the reference Schematron with one unit of tolerance, because rounding per line is allowed.
_TAX_TOLERANCE: Final = Decimal(1)
_VAT_ID: Final = re.compile(r"[A-Z]{2}[A-Z0-9+*]{2,13}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{10,30}")
_SEPARATORS: Final = re.compile(r"[\s.\-/]")
# ISO 13616: in the check, letters stand for 10 to 35.
_IBAN_DIGITS: Final = str.maketrans({letter: str(int(letter, 36)) for letter in ascii_uppercase})


def differs(left: Decimal, right: Decimal) -> bool:
    """True where two amounts are not equal in the second decimal."""
    return left != right and abs(left - right) > _HALF_CENT


def normalised_id(identifier: str) -> str:
    # Most have no separators, which is quickly seen.
    return (identifier if identifier.isalnum() else _SEPARATORS.sub("", identifier)).upper()


def is_iban(text: str) -> bool:
    """ISO 13616: shape, and remainder 1 modulo 97."""
    iban = normalised_id(text)
    if not _IBAN.fullmatch(iban):
        return False
    return int((iban[4:] + iban[:4]).translate(_IBAN_DIGITS)) % 97 == 1


def _missing(invoice: Invoice) -> Iterator[str]:
    """BR-02 to BR-15: what every invoice must say."""
    totals = invoice.totals
    mandatory = (
        ("number_missing", invoice.number),
        ("issue_date_missing", invoice.issue_date),
        ("currency_missing", invoice.currency),
        ("seller_missing", invoice.seller.name),
        ("buyer_missing", invoice.buyer.name),
        ("net_missing", totals.net),
        ("gross_missing", totals.gross),
        ("payable_missing", totals.payable),
    )
    for code, value in mandatory:
        if value is None or value == "":
            yield code
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


def _line_sum(invoice: Invoice) -> str | None:
    """BR-CO-10: the sum of line net amounts."""
    amounts = [line.net for line in invoice.lines if line.net is not None]
    if len(amounts) < len(invoice.lines):
        return "line_amount_missing"
    stated = invoice.totals.lines
    return "line_sum_differs" if amounts and stated is not None and differs(sum(amounts, _ZERO), stated) else None


def _allowance_sum(invoice: Invoice) -> str | None:
    """BR-CO-11, where single allowances are given."""
    allowances = invoice.allowances
    return "allowance_sum_differs" if allowances and differs(sum(allowances, _ZERO), invoice.totals.allowances or _ZERO) else None


def _charge_sum(invoice: Invoice) -> str | None:
    """BR-CO-12, where single charges are given."""
    charges = invoice.charges
    return "charge_sum_differs" if charges and differs(sum(charges, _ZERO), invoice.totals.charges or _ZERO) else None


def _net(invoice: Invoice) -> str | None:
    """BR-CO-13: lines minus allowances plus charges."""
    totals = invoice.totals
    if totals.lines is None or totals.net is None:
        return None
    return "net_differs" if differs(totals.lines - (totals.allowances or _ZERO) + (totals.charges or _ZERO), totals.net) else None


def _tax_sum(invoice: Invoice) -> str | None:
    """BR-CO-14: the VAT total is the sum of the breakdown."""
    amounts = [subtotal.amount for subtotal in invoice.taxes if subtotal.amount is not None]
    return "tax_sum_differs" if amounts and differs(sum(amounts, _ZERO), invoice.totals.tax or _ZERO) else None


def _is_rate_right(subtotal: TaxSubtotal) -> bool:
    """True where it cannot be told, too."""
    if subtotal.basis is None or subtotal.amount is None or subtotal.rate is None:
        return True
    return abs(subtotal.basis * subtotal.rate / 100 - subtotal.amount) <= _TAX_TOLERANCE


def _tax_rates(invoice: Invoice) -> str | None:
    """BR-CO-17: each VAT amount is basis times rate."""
    return None if all(map(_is_rate_right, invoice.taxes)) else "tax_rate_differs"


def _gross(invoice: Invoice) -> str | None:
    """BR-CO-15: net plus VAT."""
    totals = invoice.totals
    if totals.net is None or totals.gross is None:
        return None
    return "gross_differs" if differs(totals.net + (totals.tax or _ZERO), totals.gross) else None


def _payable(invoice: Invoice) -> str | None:
    """BR-CO-16: gross minus prepaid plus rounding, plus what is collected for third parties (BR-DEX-09)."""
    totals = invoice.totals
    if totals.gross is None or totals.payable is None:
        return None
    expected = totals.gross - (totals.prepaid or _ZERO) + (totals.rounding or _ZERO)
    is_right = not differs(expected, totals.payable) or not differs(expected + (totals.third_party or _ZERO), totals.payable)
    return None if is_right else "payable_differs"


ARITHMETIC: Final[tuple[Callable[[Invoice], str | None], ...]] = (
    _line_sum,
    _allowance_sum,
    _charge_sum,
    _net,
    _tax_sum,
    _tax_rates,
    _gross,
    _payable,
)


def arithmetic(invoice: Invoice) -> tuple[str, ...]:
    return tuple([code for check in ARITHMETIC if (code := check(invoice)) is not None])


def findings(invoice: Invoice) -> tuple[str, ...]:
    """Every reason why this invoice cannot be posted unseen; empty where it is formally right."""
    return (*_missing(invoice), *_malformed(invoice), *arithmetic(invoice))
