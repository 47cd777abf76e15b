"""UN/CEFACT Cross Industry Invoice D16B (syntax binding CEN/TS 16931-3-3, Factur-X, ZUGFeRD 2) to the normalised invoice."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Final

from lxml import etree

from shared.automations.invoices.invoice import Invoice, InvoiceLine, Party, TaxSubtotal, Totals
from shared.automations.invoices.shape import Attribute, Each, Record, Shape, calendar_day, every, first, number, text
from shared.automations.invoices.values import decimal, joined, present, total

_DATA: Final = "urn:un:unece:uncefact:data:"
_NAMESPACES: Final = {
    "rsm": f"{_DATA}standard:CrossIndustryInvoice:100",
    "ram": f"{_DATA}standard:ReusableAggregateBusinessInformationEntity:100",
    "udt": f"{_DATA}standard:UnqualifiedDataType:100",
}
_shape: Final = partial(Shape, _NAMESPACES)
ROOT: Final = f"{{{_NAMESPACES['rsm']}}}CrossIndustryInvoice"
# Profiles of Factur-X that carry no lines by design.
_WITHOUT_LINES: Final = ("minimum", "basicwl", "basic-wl", "basic wl")

_PARTY: Final = _shape(
    name=text("ram:Name"),
    country=text("ram:PostalTradeAddress/ram:CountryID"),
    registrations=Each("ram:SpecifiedTaxRegistration", _shape(id=text("ram:ID"), scheme=Attribute("ram:ID", "schemeID")).read),
)
_LINE: Final = _shape(
    status=text("ram:AssociatedDocumentLineDocument/ram:LineStatusReasonCode"),
    name=text("ram:SpecifiedTradeProduct/ram:Name"),
    description=text("ram:SpecifiedTradeProduct/ram:Description"),
    settlements=Each(
        "ram:SpecifiedLineTradeSettlement",
        _shape(net=number("ram:SpecifiedTradeSettlementLineMonetarySummation/ram:LineTotalAmount")).read,
    ),
)
_TAX: Final = _shape(basis=number("ram:BasisAmount"), amount=number("ram:CalculatedAmount"), rate=number("ram:RateApplicablePercent"))
_ADJUSTMENT: Final = _shape(indicator=text("ram:ChargeIndicator/udt:Indicator"), amount=number("ram:ActualAmount"))
_MEANS: Final = _shape(account=text("ram:PayeePartyCreditorFinancialAccount/ram:IBANID"))
_AGREEMENT: Final = _shape(
    sellers=Each("ram:SellerTradeParty", _PARTY.read),
    buyers=Each("ram:BuyerTradeParty", _PARTY.read),
    order_reference=text("ram:BuyerOrderReferencedDocument/ram:IssuerAssignedID"),
)


def _tax_total(element: etree._Element) -> tuple[str | None, Decimal | None]:
    """Currency and amount."""
    return element.get("currencyID"), decimal(element.text)


_SUMS: Final = _shape(
    lines=number("ram:LineTotalAmount"),
    allowances=number("ram:AllowanceTotalAmount"),
    charges=number("ram:ChargeTotalAmount"),
    net=number("ram:TaxBasisTotalAmount"),
    taxes=Each("ram:TaxTotalAmount", _tax_total),
    gross=number("ram:GrandTotalAmount"),
    prepaid=number("ram:TotalPrepaidAmount"),
    rounding=number("ram:RoundingAmount"),
    payable=number("ram:DuePayableAmount"),
)
_SETTLEMENT: Final = _shape(
    currency=text("ram:InvoiceCurrencyCode"),
    due_date=calendar_day("ram:SpecifiedTradePaymentTerms/ram:DueDateDateTime/udt:DateTimeString"),
    means=Each("ram:SpecifiedTradeSettlementPaymentMeans", _MEANS.read),
    taxes=Each("ram:ApplicableTradeTax", lambda element: TaxSubtotal(**_TAX.read(element))),
    adjustments=Each("ram:SpecifiedTradeAllowanceCharge", _ADJUSTMENT.read),
    logistics=Each("ram:SpecifiedLogisticsServiceCharge", _shape(amount=number("ram:AppliedAmount")).read),
    prepayments=Each("ram:SpecifiedAdvancePayment", _shape(amount=number("ram:PaidAmount")).read),
    sums=Each("ram:SpecifiedTradeSettlementHeaderMonetarySummation", _SUMS.read),
)
_TRADE: Final = _shape(
    lines=Each("ram:IncludedSupplyChainTradeLineItem", _LINE.read),
    agreements=Each("ram:ApplicableHeaderTradeAgreement", _AGREEMENT.read),
    settlements=Each("ram:ApplicableHeaderTradeSettlement", _SETTLEMENT.read),
)
_DOCUMENT: Final = _shape(
    profile=text("rsm:ExchangedDocumentContext/ram:GuidelineSpecifiedDocumentContextParameter/ram:ID"),
    number=text("rsm:ExchangedDocument/ram:ID"),
    type_code=text("rsm:ExchangedDocument/ram:TypeCode"),
    issue_date=calendar_day("rsm:ExchangedDocument/ram:IssueDateTime/udt:DateTimeString"),
    trades=Each("rsm:SupplyChainTradeTransaction", _TRADE.read),
)


def _party(party: Record) -> Party:
    vat = [each.get("id") for each in every(party, "registrations") if each.get("scheme") in {"VA", "VAT"}]
    return Party(party.get("name"), vat[0] if vat else None, party.get("country"))


def _line(line: Record) -> InvoiceLine:
    return InvoiceLine(first(line, "settlements").get("net"), joined(line.get("name"), line.get("description")))


def _is_counted(line: Record) -> bool:
    """False for group and information lines of the EXTENDED profile, whose amounts are repeated in their details."""
    return line.get("status") in {None, "DETAIL"}


def _tax(sums: Record, currency: str | None) -> Decimal | None:
    """The VAT total in the document currency; there may be a second one in the accounting currency (BT-111)."""
    totals: list[tuple[str | None, Decimal | None]] = sums.get("taxes", [])
    amounts = [amount for of, amount in totals if of in {currency, None}] or [amount for _, amount in totals]
    return amounts[0] if amounts else None


def _totals(settlement: Record) -> Totals:
    sums = first(settlement, "sums")
    collected = every(settlement, "prepayments") if "prepaid" not in sums else []
    return Totals(
        lines=sums.get("lines"),
        allowances=sums.get("allowances"),
        charges=sums.get("charges"),
        net=sums.get("net"),
        tax=_tax(sums, settlement.get("currency")),
        gross=sums.get("gross"),
        prepaid=sums.get("prepaid"),
        rounding=sums.get("rounding"),
        payable=sums.get("payable"),
        third_party=total([each.get("amount") for each in collected]),
    )


def _adjustments(settlement: Record, indicator: str) -> tuple[Decimal, ...]:
    return present([each.get("amount") for each in every(settlement, "adjustments") if each.get("indicator") == indicator])


def _charges(settlement: Record) -> tuple[Decimal, ...]:
    """Charges, and the logistics charges of the EXTENDED profile, which count as charges."""
    return _adjustments(settlement, "true") + present([each.get("amount") for each in every(settlement, "logistics")])


def invoice(element: etree._Element) -> Invoice:
    """Reads what is there; checks nothing."""
    document = _DOCUMENT.read(element)
    trade = first(document, "trades")
    agreement, settlement = first(trade, "agreements"), first(trade, "settlements")
    profile: str = document.get("profile") or ""
    return Invoice(
        number=document.get("number"),
        type_code=document.get("type_code"),
        issue_date=document.get("issue_date"),
        due_date=settlement.get("due_date"),
        currency=settlement.get("currency"),
        seller=_party(first(agreement, "sellers")),
        buyer=_party(first(agreement, "buyers")),
        totals=_totals(settlement),
        lines=tuple([_line(line) for line in every(trade, "lines") if _is_counted(line)]),
        taxes=tuple(settlement.get("taxes", ())),
        allowances=_adjustments(settlement, "false"),
        charges=_charges(settlement),
        ibans=tuple([account for means in every(settlement, "means") if (account := means.get("account"))]),
        order_reference=agreement.get("order_reference"),
        has_lines=not profile.lower().endswith(_WITHOUT_LINES),
    )
