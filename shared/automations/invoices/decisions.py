"""What to do with an invoice: hard rules, what the models see, what a label means, and what a stopped duplicate saves."""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from typing import Final

from shared.automations.contract import Context, Features, Verdict
from shared.automations.invoices.checks import differs, findings, normalised_id
from shared.automations.invoices.invoice import Invoice, Party
from shared.automations.invoices.schema import InvoiceReceived
from shared.money import Money, currency

# Words of a line description, and the expense account that they suggest.
_ACCOUNTS: Final = {
    "software": r"licen[cs]e|software|subscription|saas|hosting|cloud|lizenz|abonnement",
    "telecom": r"phone|mobile|telecom|broadband|internet|telefon|mobilfunk",
    "travel": r"hotel|flight|train|taxi|travel|accommodation|reise|bahn",
    "freight": r"freight|shipping|courier|delivery|pallet|fracht|lieferkosten|versand",
    "energy": r"electricity|gas supply|energy|heating|strom|fernw[aä]rme",
    "office": r"paper|toner|chair|desk|stationery|keyboard|monitor|office|b[uü]ro|tastatur",
    "services": r"consult\w*|audit|training|maintenance|cleaning|repair|beratung|wartung|reinigung|schulung",
    "advertising": r"advert\w*|campaign|banner|fair|sponsor\w*|werbung|anzeige",
    "rent": r"rent|lease|parking|miete|stellplatz",
}
_ACCOUNT_PATTERN: Final = re.compile("|".join(rf"\b(?P<{name}>(?:{words}))\b" for name, words in _ACCOUNTS.items()), re.IGNORECASE)
_COUNTRY_VAT: Final = {
    "AT": re.compile(r"ATU\d{8}"),
    "BE": re.compile(r"BE[01]\d{9}"),
    "CH": re.compile(r"CHE\d{9}(?:MWST|TVA|IVA)?"),
    "DE": re.compile(r"DE\d{9}"),
    "ES": re.compile(r"ES[A-Z0-9]\d{7}[A-Z0-9]"),
    "FR": re.compile(r"FR[A-Z0-9]{2}\d{9}"),
    "IT": re.compile(r"IT\d{11}"),
    "NL": re.compile(r"NL[A-Z0-9+*]{12}"),
    "PL": re.compile(r"PL\d{10}"),
    "SE": re.compile(r"SE\d{12}"),
}
_BANDS: Final = ((Decimal(100), "100"), (Decimal(500), "500"), (Decimal(2_000), "2k"), (Decimal(10_000), "10k"), (Decimal(50_000), "50k"))


def rules(data: InvoiceReceived, context: Context) -> Verdict | None:
    """A duplicate is to be rejected (by a person), a document that is not right goes to a person, the rest to the models."""
    invoice = data.invoice
    if not isinstance(invoice, Invoice):
        return Verdict("exception", reasons=(invoice.reason,))
    found = findings(invoice)
    if context.duplicate_of is not None:
        return Verdict("reject", reasons=("duplicate", *found), attributes={"duplicate_of": context.duplicate_of})
    return Verdict("exception", reasons=found) if found else None


def _amount_band(amount: Decimal | None) -> str:
    if amount is None:
        return "none"
    return next((name for limit, name in _BANDS if abs(amount) <= limit), "more")


def stratum(data: InvoiceReceived) -> str:
    invoice = data.invoice
    if not isinstance(invoice, Invoice):
        return "unreadable"
    kind = "credit_note" if invoice.is_credit_note else "invoice"
    amount = abs(invoice.totals.gross or Decimal(0))
    return f"{kind}/{'small' if amount <= 500 else 'medium' if amount <= 10_000 else 'large'}"


def covariate(data: InvoiceReceived) -> float:
    """How many checks the document fails by itself: each is something that a person has to clear up."""
    invoice = data.invoice
    return float(len(findings(invoice))) if isinstance(invoice, Invoice) else 0.0


def _terms(invoice: Invoice) -> str:
    if invoice.issue_date is None or invoice.due_date is None:
        return "none"
    days = (invoice.due_date - invoice.issue_date).days
    return next((str(limit) for limit in (0, 7, 14, 30, 60) if days <= limit), "long")


def _vat_shape(party: Party) -> str:
    if not party.vat_id:
        return "none"
    identifier = normalised_id(party.vat_id)
    shape = _COUNTRY_VAT.get(identifier[:2])
    return "foreign" if shape is None else "right" if shape.fullmatch(identifier) else "wrong"


def _account_country(invoice: Invoice) -> str:
    """Whether the bank account is in the seller's country: one that moved abroad is the classic sign of fraud."""
    if not invoice.ibans:
        return "none"
    country = invoice.seller.country or (invoice.seller.vat_id or "")[:2].upper()
    return "same" if all(account[:2].upper() == country for account in invoice.ibans) else "other"


def _text(invoice: Invoice) -> str:
    return " ".join(line.description for line in invoice.lines[:50])


def features(data: InvoiceReceived) -> Features | None:
    invoice = data.invoice
    if not isinstance(invoice, Invoice):
        return None
    gross = invoice.totals.gross
    seller_known, order_matched = data.root.seller_known, data.root.order_matched
    band, has_order, account_country = _amount_band(gross), bool(invoice.order_reference), _account_country(invoice)
    fields = {
        "seller_known": str(seller_known),
        "order": str(has_order),
        "order_matched": str(order_matched),
        "known_and_matched": f"{seller_known}{order_matched}",
        "band": band,
        "band_order": f"{band}{has_order}",
        "terms": _terms(invoice),
        "account": account_country,
        "account_known": f"{account_country}{seller_known}",
        "vat": _vat_shape(invoice.seller),
        "lines": _amount_band(Decimal(len(invoice.lines))) if len(invoice.lines) > 3 else str(len(invoice.lines)),
        "credit_note": str(invoice.is_credit_note),
        "round": str(gross is not None and not differs(gross % 100, Decimal(0))),
        "prepaid": str(bool(invoice.totals.prepaid)),
    }
    return Features(text=_text(invoice), fields=fields)


def account(invoice: Invoice) -> str:
    match = _ACCOUNT_PATTERN.search(_text(invoice))
    return match.lastgroup if match and match.lastgroup else "unassigned"


def conclude(data: InvoiceReceived, label: str, confidence: float) -> Verdict:
    invoice = data.invoice
    if label != "post" or not isinstance(invoice, Invoice):
        return Verdict(label, confidence, (f"model:{label}",), label=label)
    attributes = {
        "account": account(invoice),
        "supplier": invoice.seller.vat_id or invoice.seller.name or "",
        "reference": invoice.number or "",
    }
    return Verdict("post", confidence, ("checks_passed", "model:post"), attributes, label)


def fingerprint(data: InvoiceReceived) -> str | None:
    """Equal for one invoice sent twice, as XML or as fields; None where it cannot be told."""
    invoice = data.invoice
    if not isinstance(invoice, Invoice) or not invoice.number or invoice.totals.gross is None:
        return None
    seller = normalised_id(invoice.seller.vat_id or "") or " ".join((invoice.seller.name or "").casefold().split())
    if not seller:
        return None
    gross = f"{invoice.totals.gross.quantize(Decimal('0.01')):f}"
    key = "\x1f".join((seller, normalised_id(invoice.number), gross, invoice.currency or "", str(invoice.is_credit_note)))
    return hashlib.sha256(key.encode()).hexdigest()


def cash(data: InvoiceReceived, outcome: str, reasons: tuple[str, ...]) -> Money | None:
    """A duplicate that was stopped was not paid: its payable amount."""
    invoice = data.invoice
    if outcome != "reject" or "duplicate" not in reasons or not isinstance(invoice, Invoice) or invoice.is_credit_note:
        return None
    payable = invoice.totals.payable
    if payable is None or payable <= 0 or not invoice.currency:
        return None
    try:
        return Money(payable, currency(invoice.currency))
    except ValueError:
        return None
