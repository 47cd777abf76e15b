"""UBL 2.1 Invoice and CreditNote (syntax binding CEN/TS 16931-3-2) to the normalised invoice."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import partial
from typing import Final

from lxml import etree

from shared.automations.invoices.invoice import Invoice, InvoiceLine, Party, TaxSubtotal, Totals
from shared.automations.invoices.shape import Attribute, Each, Record, Shape, calendar_day, every, first, number, text
from shared.automations.invoices.values import joined, present, total

_SCHEMA: Final = "urn:oasis:names:specification:ubl:schema:xsd:"
_shape: Final = partial(Shape, {"cac": f"{_SCHEMA}CommonAggregateComponents-2", "cbc": f"{_SCHEMA}CommonBasicComponents-2"})

_PARTY: Final = _shape(
    legal_name=text("cac:PartyLegalEntity/cbc:RegistrationName"),
    name=text("cac:PartyName/cbc:Name"),
    country=text("cac:PostalAddress/cac:Country/cbc:IdentificationCode"),
    taxes=Each("cac:PartyTaxScheme", _shape(id=text("cbc:CompanyID"), scheme=text("cac:TaxScheme/cbc:ID")).read),
)
_ROLE: Final = _shape(parties=Each("cac:Party", _PARTY.read))
_TAX_SUBTOTAL: Final = _shape(
    basis=number("cbc:TaxableAmount"),
    amount=number("cbc:TaxAmount"),
    rate=number("cac:TaxCategory/cbc:Percent"),
)
_TAX_TOTAL: Final = _shape(
    amount=number("cbc:TaxAmount"),
    currency=Attribute("cbc:TaxAmount", "currencyID"),
    subtotals=Each("cac:TaxSubtotal", lambda element: TaxSubtotal(**_TAX_SUBTOTAL.read(element))),
)
_TOTALS: Final = _shape(
    lines=number("cbc:LineExtensionAmount"),
    allowances=number("cbc:AllowanceTotalAmount"),
    charges=number("cbc:ChargeTotalAmount"),
    net=number("cbc:TaxExclusiveAmount"),
    gross=number("cbc:TaxInclusiveAmount"),
    prepaid=number("cbc:PrepaidAmount"),
    rounding=number("cbc:PayableRoundingAmount"),
    payable=number("cbc:PayableAmount"),
)
_MEANS: Final = _shape(account=text("cac:PayeeFinancialAccount/cbc:ID"), due_date=calendar_day("cbc:PaymentDueDate"))
_ADJUSTMENT: Final = _shape(indicator=text("cbc:ChargeIndicator"), amount=number("cbc:Amount"))
_LINE: Final = _shape(net=number("cbc:LineExtensionAmount"), name=text("cac:Item/cbc:Name"), description=text("cac:Item/cbc:Description"))


def _line(element: etree._Element) -> InvoiceLine:
    line = _LINE.read(element)
    return InvoiceLine(line.get("net"), joined(line.get("name"), line.get("description")))


def _document(kind: str) -> Shape:
    return _shape(
        number=text("cbc:ID"),
        type_code=text(f"cbc:{kind}TypeCode"),
        issue_date=calendar_day("cbc:IssueDate"),
        due_date=calendar_day("cbc:DueDate"),
        currency=text("cbc:DocumentCurrencyCode"),
        order_reference=text("cac:OrderReference/cbc:ID"),
        sellers=Each("cac:AccountingSupplierParty", _ROLE.read),
        buyers=Each("cac:AccountingCustomerParty", _ROLE.read),
        means=Each("cac:PaymentMeans", _MEANS.read),
        prepayments=Each("cac:PrepaidPayment", _shape(amount=number("cbc:PaidAmount")).read),
        adjustments=Each("cac:AllowanceCharge", _ADJUSTMENT.read),
        tax_totals=Each("cac:TaxTotal", _TAX_TOTAL.read),
        totals=Each("cac:LegalMonetaryTotal", _TOTALS.read),
        lines=Each(f"cac:{kind}Line", _line),
    )


_CREDIT_NOTE: Final = f"{{{_SCHEMA}CreditNote-2}}CreditNote"
ROOTS: Final = {f"{{{_SCHEMA}Invoice-2}}Invoice": _document("Invoice"), _CREDIT_NOTE: _document("CreditNote")}


def _party(role: Record) -> Party:
    party = first(role, "parties")
    vat = [tax.get("id") for tax in every(party, "taxes") if (tax.get("scheme") or "VAT").upper() == "VAT"]
    return Party(party.get("legal_name") or party.get("name"), vat[0] if vat else None, party.get("country"))


def _tax_totals(document: Record) -> list[Record]:
    """VAT totals in the document currency: one, if the document is right. One in the accounting currency (BT-111) is left out."""
    totals, own = every(document, "tax_totals"), {document.get("currency"), None}
    return [tax_total for tax_total in totals if tax_total.get("currency") in own] or totals[:1]


def _totals(document: Record, tax_totals: list[Record]) -> Totals:
    return Totals(
        **first(document, "totals"),
        tax=total([each.get("amount") for each in tax_totals]),
        third_party=total([each.get("amount") for each in every(document, "prepayments")]),
    )


def _adjustments(document: Record, indicator: str) -> tuple[Decimal, ...]:
    return present([each.get("amount") for each in every(document, "adjustments") if each.get("indicator") == indicator])


def _due_date(document: Record) -> date | None:
    stated: list[date | None] = [means["due_date"] for means in every(document, "means") if "due_date" in means]
    return document.get("due_date") or (stated[0] if stated else None)


def invoice(element: etree._Element) -> Invoice:
    """Reads what is there; checks nothing."""
    document = ROOTS[element.tag].read(element)
    tax_totals = _tax_totals(document)
    return Invoice(
        number=document.get("number"),
        type_code=document.get("type_code") or ("381" if element.tag == _CREDIT_NOTE else None),
        issue_date=document.get("issue_date"),
        due_date=_due_date(document),
        currency=document.get("currency"),
        seller=_party(first(document, "sellers")),
        buyer=_party(first(document, "buyers")),
        totals=_totals(document, tax_totals),
        lines=tuple(document.get("lines", ())),
        taxes=tuple([subtotal for each in tax_totals for subtotal in each.get("subtotals", ())]),
        allowances=_adjustments(document, "false"),
        charges=_adjustments(document, "true"),
        ibans=tuple([account for means in every(document, "means") if (account := means.get("account"))]),
        order_reference=document.get("order_reference"),
    )
