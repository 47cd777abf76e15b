"""UBL 2.1 Invoice and CreditNote (syntax binding CEN/TS 16931-3-2) to the normalised invoice."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from lxml import etree

from shared.automations.invoices.invoice import Invoice, InvoiceLine, Party, TaxSubtotal, Totals
from shared.automations.invoices.nodes import Node, Paths, total

_SCHEMA: Final = "urn:oasis:names:specification:ubl:schema:xsd:"
_PATHS: Final = Paths({"cac": f"{_SCHEMA}CommonAggregateComponents-2", "cbc": f"{_SCHEMA}CommonBasicComponents-2"})
_CREDIT_NOTE: Final = f"{{{_SCHEMA}CreditNote-2}}CreditNote"
ROOTS: Final = frozenset({f"{{{_SCHEMA}Invoice-2}}Invoice", _CREDIT_NOTE})


def _party(node: Node) -> Party:
    party = node.first("cac:Party")
    vat = [tax for tax in party.every("cac:PartyTaxScheme") if (tax.text("cac:TaxScheme/cbc:ID") or "VAT").upper() == "VAT"]
    return Party(
        name=party.text("cac:PartyLegalEntity/cbc:RegistrationName") or party.text("cac:PartyName/cbc:Name"),
        vat_id=vat[0].text("cbc:CompanyID") if vat else None,
        country=party.text("cac:PostalAddress/cac:Country/cbc:IdentificationCode"),
    )


def _line(node: Node, quantity: str) -> InvoiceLine:
    name, description = node.text("cac:Item/cbc:Name"), node.text("cac:Item/cbc:Description")
    return InvoiceLine(
        net=node.decimal("cbc:LineExtensionAmount"),
        description=" ".join(part for part in (name, description) if part),
        quantity=node.decimal(f"cbc:{quantity}"),
        tax_rate=node.decimal("cac:Item/cac:ClassifiedTaxCategory/cbc:Percent"),
    )


def _tax_totals(root: Node, currency: str | None) -> list[Node]:
    """VAT totals in the document currency: one, if the document is right. One in the accounting currency (BT-111) is left out."""
    totals = root.every("cac:TaxTotal")
    return [node for node in totals if node.first("cbc:TaxAmount").attribute("currencyID") in {currency, None}] or totals[:1]


def _taxes(tax_totals: list[Node]) -> tuple[TaxSubtotal, ...]:
    return tuple(
        TaxSubtotal(
            basis=node.decimal("cbc:TaxableAmount"),
            amount=node.decimal("cbc:TaxAmount"),
            rate=node.decimal("cac:TaxCategory/cbc:Percent"),
            category=node.text("cac:TaxCategory/cbc:ID"),
        )
        for tax_total in tax_totals
        for node in tax_total.every("cac:TaxSubtotal")
    )


def _totals(root: Node, tax_totals: list[Node]) -> Totals:
    money = root.first("cac:LegalMonetaryTotal")
    return Totals(
        lines=money.decimal("cbc:LineExtensionAmount"),
        allowances=money.decimal("cbc:AllowanceTotalAmount"),
        charges=money.decimal("cbc:ChargeTotalAmount"),
        net=money.decimal("cbc:TaxExclusiveAmount"),
        tax=total([node.decimal("cbc:TaxAmount") for node in tax_totals]),
        gross=money.decimal("cbc:TaxInclusiveAmount"),
        prepaid=money.decimal("cbc:PrepaidAmount"),
        rounding=money.decimal("cbc:PayableRoundingAmount"),
        payable=money.decimal("cbc:PayableAmount"),
        third_party=total([node.decimal("cbc:PaidAmount") for node in root.every("cac:PrepaidPayment")]),
    )


def _adjustments(root: Node, indicator: str) -> tuple[Decimal, ...]:
    nodes = [node for node in root.every("cac:AllowanceCharge") if node.text("cbc:ChargeIndicator") == indicator]
    return tuple(amount for node in nodes if (amount := node.decimal("cbc:Amount")) is not None)


def invoice(element: etree._Element) -> Invoice:
    """Reads what is there; checks nothing."""
    root = Node(element, _PATHS)
    is_credit_note = element.tag == _CREDIT_NOTE
    line_tag, quantity = ("CreditNoteLine", "CreditedQuantity") if is_credit_note else ("InvoiceLine", "InvoicedQuantity")
    currency = root.text("cbc:DocumentCurrencyCode")
    tax_totals = _tax_totals(root, currency)
    lines = tuple(_line(node, quantity) for node in root.every(f"cac:{line_tag}"))
    accounts = (node.text("cac:PayeeFinancialAccount/cbc:ID") for node in root.every("cac:PaymentMeans"))
    return Invoice(
        number=root.text("cbc:ID"),
        type_code=root.text("cbc:CreditNoteTypeCode" if is_credit_note else "cbc:InvoiceTypeCode") or ("381" if is_credit_note else None),
        issue_date=root.day("cbc:IssueDate"),
        due_date=root.day("cbc:DueDate") or root.day("cac:PaymentMeans/cbc:PaymentDueDate"),
        currency=currency,
        seller=_party(root.first("cac:AccountingSupplierParty")),
        buyer=_party(root.first("cac:AccountingCustomerParty")),
        totals=_totals(root, tax_totals),
        lines=lines,
        taxes=_taxes(tax_totals),
        allowances=_adjustments(root, "false"),
        charges=_adjustments(root, "true"),
        ibans=tuple(account for account in accounts if account),
        order_reference=root.text("cac:OrderReference/cbc:ID"),
    )
