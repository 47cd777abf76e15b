"""UN/CEFACT Cross Industry Invoice D16B (syntax binding CEN/TS 16931-3-3, Factur-X, ZUGFeRD 2) to the normalised invoice."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from lxml import etree

from shared.automations.invoices.invoice import Invoice, InvoiceLine, Party, TaxSubtotal, Totals
from shared.automations.invoices.nodes import Node, Paths, total

_DATA: Final = "urn:un:unece:uncefact:data:"
_NAMESPACES: Final = {
    "rsm": f"{_DATA}standard:CrossIndustryInvoice:100",
    "ram": f"{_DATA}standard:ReusableAggregateBusinessInformationEntity:100",
    "udt": f"{_DATA}standard:UnqualifiedDataType:100",
}
_PATHS: Final = Paths(_NAMESPACES)
ROOT: Final = f"{{{_NAMESPACES['rsm']}}}CrossIndustryInvoice"
_SUMS: Final = "ram:SpecifiedTradeSettlementHeaderMonetarySummation"
# Profiles of Factur-X that carry no lines by design.
_WITHOUT_LINES: Final = ("minimum", "basicwl", "basic-wl", "basic wl")


def _party(node: Node) -> Party:
    registrations = (registration.first("ram:ID") for registration in node.every("ram:SpecifiedTaxRegistration"))
    return Party(
        name=node.text("ram:Name"),
        vat_id=next((each.own_text() for each in registrations if each.attribute("schemeID") in {"VA", "VAT"}), None),
        country=node.text("ram:PostalTradeAddress/ram:CountryID"),
    )


def _line(node: Node) -> InvoiceLine:
    name, description = node.text("ram:SpecifiedTradeProduct/ram:Name"), node.text("ram:SpecifiedTradeProduct/ram:Description")
    settlement = node.first("ram:SpecifiedLineTradeSettlement")
    return InvoiceLine(
        net=settlement.decimal("ram:SpecifiedTradeSettlementLineMonetarySummation/ram:LineTotalAmount"),
        description=" ".join(part for part in (name, description) if part),
        quantity=node.decimal("ram:SpecifiedLineTradeDelivery/ram:BilledQuantity"),
        tax_rate=settlement.decimal("ram:ApplicableTradeTax/ram:RateApplicablePercent"),
    )


def _is_counted(node: Node) -> bool:
    """False for group and information lines of the EXTENDED profile, whose amounts are repeated in their details."""
    return node.text("ram:AssociatedDocumentLineDocument/ram:LineStatusReasonCode") in {None, "DETAIL"}


def _taxes(settlement: Node) -> tuple[TaxSubtotal, ...]:
    return tuple(
        TaxSubtotal(
            basis=node.decimal("ram:BasisAmount"),
            amount=node.decimal("ram:CalculatedAmount"),
            rate=node.decimal("ram:RateApplicablePercent"),
            category=node.text("ram:CategoryCode"),
        )
        for node in settlement.every("ram:ApplicableTradeTax")
    )


def _tax(sums: Node, currency: str | None) -> Decimal | None:
    """The VAT total in the document currency; there may be a second one in the accounting currency (BT-111)."""
    nodes = sums.every("ram:TaxTotalAmount")
    own = [node for node in nodes if node.attribute("currencyID") in {currency, None}]
    return next((node.decimal(".") for node in own or nodes), None)


def _totals(settlement: Node, currency: str | None) -> Totals:
    sums = settlement.first(_SUMS)
    collected = settlement.every("ram:SpecifiedAdvancePayment") if not sums.first("ram:TotalPrepaidAmount") else []
    return Totals(
        lines=sums.decimal("ram:LineTotalAmount"),
        allowances=sums.decimal("ram:AllowanceTotalAmount"),
        charges=sums.decimal("ram:ChargeTotalAmount"),
        net=sums.decimal("ram:TaxBasisTotalAmount"),
        tax=_tax(sums, currency),
        gross=sums.decimal("ram:GrandTotalAmount"),
        prepaid=sums.decimal("ram:TotalPrepaidAmount"),
        rounding=sums.decimal("ram:RoundingAmount"),
        payable=sums.decimal("ram:DuePayableAmount"),
        third_party=total([node.decimal("ram:PaidAmount") for node in collected]),
    )


def _adjustments(settlement: Node, indicator: str) -> tuple[Decimal, ...]:
    nodes = settlement.every("ram:SpecifiedTradeAllowanceCharge")
    chosen = [node for node in nodes if node.text("ram:ChargeIndicator/udt:Indicator") == indicator]
    return tuple(amount for node in chosen if (amount := node.decimal("ram:ActualAmount")) is not None)


def _charges(settlement: Node) -> tuple[Decimal, ...]:
    """Charges, and the logistics charges of the EXTENDED profile, which count as charges."""
    logistics = (node.decimal("ram:AppliedAmount") for node in settlement.every("ram:SpecifiedLogisticsServiceCharge"))
    return _adjustments(settlement, "true") + tuple(amount for amount in logistics if amount is not None)


def _ibans(settlement: Node) -> tuple[str, ...]:
    means = settlement.every("ram:SpecifiedTradeSettlementPaymentMeans")
    accounts = (node.text("ram:PayeePartyCreditorFinancialAccount/ram:IBANID") for node in means)
    return tuple(account for account in accounts if account)


def invoice(element: etree._Element) -> Invoice:
    """Reads what is there; checks nothing."""
    root = Node(element, _PATHS)
    trade = root.first("rsm:SupplyChainTradeTransaction")
    agreement, settlement = trade.first("ram:ApplicableHeaderTradeAgreement"), trade.first("ram:ApplicableHeaderTradeSettlement")
    profile = root.text("rsm:ExchangedDocumentContext/ram:GuidelineSpecifiedDocumentContextParameter/ram:ID") or ""
    currency = settlement.text("ram:InvoiceCurrencyCode")
    return Invoice(
        number=root.text("rsm:ExchangedDocument/ram:ID"),
        type_code=root.text("rsm:ExchangedDocument/ram:TypeCode"),
        issue_date=root.day("rsm:ExchangedDocument/ram:IssueDateTime/udt:DateTimeString"),
        due_date=settlement.day("ram:SpecifiedTradePaymentTerms/ram:DueDateDateTime/udt:DateTimeString"),
        currency=currency,
        seller=_party(agreement.first("ram:SellerTradeParty")),
        buyer=_party(agreement.first("ram:BuyerTradeParty")),
        totals=_totals(settlement, currency),
        lines=tuple(_line(node) for node in trade.every("ram:IncludedSupplyChainTradeLineItem") if _is_counted(node)),
        taxes=_taxes(settlement),
        allowances=_adjustments(settlement, "false"),
        charges=_charges(settlement),
        ibans=_ibans(settlement),
        order_reference=agreement.text("ram:BuyerOrderReferencedDocument/ram:IssuerAssignedID"),
        has_lines=not profile.lower().endswith(_WITHOUT_LINES),
    )
