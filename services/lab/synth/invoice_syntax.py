"""A draft invoice as event data: fields, UBL 2.1, or UN/CEFACT CII."""

from __future__ import annotations

from typing import Any, Final
from xml.sax.saxutils import escape

from services.lab.synth.invoice_draft import BUYER, Draft

_GUIDELINE: Final = "urn:cen.eu:en16931:2017"
_UBL: Final = "urn:oasis:names:specification:ubl:schema:xsd:"
_CII: Final = "urn:un:unece:uncefact:data:standard:"


def fields(draft: Draft) -> dict[str, Any]:
    amounts, rate = draft.amounts, draft.vendor.rate
    data: dict[str, Any] = {
        "type_code": "381" if draft.is_credit_note else "380",
        "issue_date": draft.issued.isoformat(),
        "currency": draft.vendor.currency,
        "seller": {"name": draft.vendor.name, "vat_id": draft.vendor.vat_id, "country": draft.vendor.country},
        "buyer": {"name": BUYER, "country": "DE"},
        "lines": [
            {"net": f"{line.net:.2f}", "description": line.description, "quantity": f"{line.quantity}", "tax_rate": str(rate)}
            for line in draft.lines
        ],
        "taxes": [{"basis": amounts["net"], "amount": amounts["tax"], "rate": str(rate), "category": "S"}],
        "iban": draft.iban,
        **amounts,
    }
    optional = {"number": draft.number or None, "due_date": draft.due.isoformat() if draft.due else None, "order_reference": draft.order}
    return data | {name: value for name, value in optional.items() if value is not None}


def _ubl_party(role: str, name: str, vat_id: str, country: str) -> str:
    tax = (
        f"<cac:PartyTaxScheme><cbc:CompanyID>{vat_id}</cbc:CompanyID><cac:TaxScheme><cbc:ID>VAT</cbc:ID>"
        f"</cac:TaxScheme></cac:PartyTaxScheme>"
    )
    return (
        f"<cac:{role}><cac:Party><cac:PostalAddress><cac:Country><cbc:IdentificationCode>{country}</cbc:IdentificationCode></cac:Country>"
        f"</cac:PostalAddress>{tax if vat_id else ''}<cac:PartyLegalEntity><cbc:RegistrationName>{escape(name)}</cbc:RegistrationName>"
        f"</cac:PartyLegalEntity></cac:Party></cac:{role}>"
    )


def _ubl_line(draft: Draft, index: int, tag: str, quantity: str) -> str:
    line, currency = draft.lines[index], draft.vendor.currency
    return (
        f'<cac:{tag}><cbc:ID>{index + 1}</cbc:ID><cbc:{quantity} unitCode="C62">{line.quantity}</cbc:{quantity}>'
        f'<cbc:LineExtensionAmount currencyID="{currency}">{line.net}</cbc:LineExtensionAmount><cac:Item>'
        f"<cbc:Name>{escape(line.description)}"
        f"</cbc:Name><cac:ClassifiedTaxCategory><cbc:ID>S</cbc:ID><cbc:Percent>{draft.vendor.rate}</cbc:Percent>"
        f"<cac:TaxScheme><cbc:ID>VAT</cbc:ID>"
        f"</cac:TaxScheme></cac:ClassifiedTaxCategory></cac:Item><cac:Price>"
        f'<cbc:PriceAmount currencyID="{currency}">{line.price}</cbc:PriceAmount>'
        f"</cac:Price></cac:{tag}>"
    )


def _ubl_totals(draft: Draft) -> str:
    amounts, money = draft.amounts, f'currencyID="{draft.vendor.currency}"'
    allowance = (
        f"<cac:AllowanceCharge><cbc:ChargeIndicator>false</cbc:ChargeIndicator><cbc:AllowanceChargeReason>Discount"
        f"</cbc:AllowanceChargeReason>"
        f"<cbc:Amount {money}>{amounts['allowance_total']}</cbc:Amount></cac:AllowanceCharge>"
        if draft.allowance
        else ""
    )
    names = {
        "line_total": "LineExtensionAmount",
        "net": "TaxExclusiveAmount",
        "gross": "TaxInclusiveAmount",
        "allowance_total": "AllowanceTotalAmount",
        "prepaid": "PrepaidAmount",
        "payable": "PayableAmount",
    }
    totals = "".join(f"<cbc:{tag} {money}>{amounts[name]}</cbc:{tag}>" for name, tag in names.items())
    return (
        f"{allowance}<cac:TaxTotal><cbc:TaxAmount {money}>{amounts['tax']}</cbc:TaxAmount><cac:TaxSubtotal><cbc:TaxableAmount {money}>"
        f"{amounts['net']}</cbc:TaxableAmount><cbc:TaxAmount {money}>{amounts['tax']}</cbc:TaxAmount><cac:TaxCategory><cbc:ID>S</cbc:ID>"
        f"<cbc:Percent>{draft.vendor.rate}</cbc:Percent><cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme>"
        f"</cac:TaxCategory></cac:TaxSubtotal>"
        f"</cac:TaxTotal><cac:LegalMonetaryTotal>{totals}</cac:LegalMonetaryTotal>"
    )


def ubl(draft: Draft) -> str:
    kind, quantity, code = ("CreditNote", "CreditedQuantity", "381") if draft.is_credit_note else ("Invoice", "InvoicedQuantity", "380")
    due = f"<cbc:DueDate>{draft.due}</cbc:DueDate>" if draft.due and not draft.is_credit_note else ""
    means_due = f"<cbc:PaymentDueDate>{draft.due}</cbc:PaymentDueDate>" if draft.due and draft.is_credit_note else ""
    order = f"<cac:OrderReference><cbc:ID>{draft.order}</cbc:ID></cac:OrderReference>" if draft.order else ""
    lines = "".join(_ubl_line(draft, index, f"{kind}Line", quantity) for index in range(len(draft.lines)))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{kind} xmlns="{_UBL}{kind}-2" xmlns:cac="{_UBL}CommonAggregateComponents-2" '
        f'xmlns:cbc="{_UBL}CommonBasicComponents-2"><cbc:CustomizationID>{_GUIDELINE}</cbc:CustomizationID>'
        f"<cbc:ID>{escape(draft.number)}</cbc:ID>"
        f"<cbc:IssueDate>{draft.issued}</cbc:IssueDate>{due}<cbc:{kind}TypeCode>{code}</cbc:{kind}TypeCode>"
        f"<cbc:DocumentCurrencyCode>{draft.vendor.currency}</cbc:DocumentCurrencyCode>{order}"
        f"{_ubl_party('AccountingSupplierParty', draft.vendor.name, draft.vendor.vat_id, draft.vendor.country)}"
        f"{_ubl_party('AccountingCustomerParty', BUYER, '', 'DE')}<cac:PaymentMeans><cbc:PaymentMeansCode>58"
        f"</cbc:PaymentMeansCode>{means_due}"
        f"<cac:PayeeFinancialAccount><cbc:ID>{draft.iban}</cbc:ID></cac:PayeeFinancialAccount></cac:PaymentMeans>"
        f"{_ubl_totals(draft)}{lines}</{kind}>"
    )


def _cii_line(draft: Draft, index: int) -> str:
    line = draft.lines[index]
    return (
        f"<ram:IncludedSupplyChainTradeLineItem><ram:AssociatedDocumentLineDocument><ram:LineID>{index + 1}</ram:LineID>"
        f"</ram:AssociatedDocumentLineDocument><ram:SpecifiedTradeProduct><ram:Name>{escape(line.description)}"
        f"</ram:Name></ram:SpecifiedTradeProduct>"
        f"<ram:SpecifiedLineTradeAgreement><ram:NetPriceProductTradePrice><ram:ChargeAmount>{line.price}</ram:ChargeAmount>"
        f"</ram:NetPriceProductTradePrice></ram:SpecifiedLineTradeAgreement><ram:SpecifiedLineTradeDelivery>"
        f'<ram:BilledQuantity unitCode="C62">{line.quantity}</ram:BilledQuantity></ram:SpecifiedLineTradeDelivery>'
        f"<ram:SpecifiedLineTradeSettlement>"
        f"<ram:ApplicableTradeTax><ram:TypeCode>VAT</ram:TypeCode><ram:CategoryCode>S</ram:CategoryCode>"
        f"<ram:RateApplicablePercent>{draft.vendor.rate}"
        f"</ram:RateApplicablePercent></ram:ApplicableTradeTax><ram:SpecifiedTradeSettlementLineMonetarySummation>"
        f"<ram:LineTotalAmount>{line.net}"
        f"</ram:LineTotalAmount></ram:SpecifiedTradeSettlementLineMonetarySummation></ram:SpecifiedLineTradeSettlement>"
        f"</ram:IncludedSupplyChainTradeLineItem>"
    )


def _cii_agreement(draft: Draft) -> str:
    order = (
        f"<ram:BuyerOrderReferencedDocument><ram:IssuerAssignedID>{draft.order}</ram:IssuerAssignedID></ram:BuyerOrderReferencedDocument>"
        if draft.order
        else ""
    )
    return (
        f"<ram:ApplicableHeaderTradeAgreement><ram:SellerTradeParty><ram:Name>{escape(draft.vendor.name)}</ram:Name>"
        f"<ram:PostalTradeAddress>"
        f"<ram:CountryID>{draft.vendor.country}</ram:CountryID></ram:PostalTradeAddress><ram:SpecifiedTaxRegistration>"
        f'<ram:ID schemeID="VA">{draft.vendor.vat_id}</ram:ID></ram:SpecifiedTaxRegistration></ram:SellerTradeParty><ram:BuyerTradeParty>'
        f"<ram:Name>{BUYER}</ram:Name></ram:BuyerTradeParty>{order}</ram:ApplicableHeaderTradeAgreement>"
        f"<ram:ApplicableHeaderTradeDelivery/>"
    )


def _cii_settlement(draft: Draft) -> str:
    amounts, currency = draft.amounts, draft.vendor.currency
    allowance = (
        f"<ram:SpecifiedTradeAllowanceCharge><ram:ChargeIndicator><udt:Indicator>false</udt:Indicator></ram:ChargeIndicator>"
        f"<ram:ActualAmount>{amounts['allowance_total']}</ram:ActualAmount><ram:Reason>Discount</ram:Reason>"
        f"</ram:SpecifiedTradeAllowanceCharge>"
        if draft.allowance
        else ""
    )
    terms = (
        f'<ram:SpecifiedTradePaymentTerms><ram:DueDateDateTime><udt:DateTimeString format="102">{draft.due:%Y%m%d}</udt:DateTimeString>'
        f"</ram:DueDateDateTime></ram:SpecifiedTradePaymentTerms>"
        if draft.due
        else ""
    )
    return (
        f"<ram:ApplicableHeaderTradeSettlement><ram:InvoiceCurrencyCode>{currency}</ram:InvoiceCurrencyCode>"
        f"<ram:SpecifiedTradeSettlementPaymentMeans>"
        f"<ram:TypeCode>58</ram:TypeCode><ram:PayeePartyCreditorFinancialAccount><ram:IBANID>{draft.iban}</ram:IBANID>"
        f"</ram:PayeePartyCreditorFinancialAccount></ram:SpecifiedTradeSettlementPaymentMeans><ram:ApplicableTradeTax>"
        f"<ram:CalculatedAmount>"
        f"{amounts['tax']}</ram:CalculatedAmount><ram:TypeCode>VAT</ram:TypeCode><ram:BasisAmount>{amounts['net']}</ram:BasisAmount>"
        f"<ram:CategoryCode>S</ram:CategoryCode><ram:RateApplicablePercent>{draft.vendor.rate}"
        f"</ram:RateApplicablePercent></ram:ApplicableTradeTax>"
        f"{allowance}{terms}<ram:SpecifiedTradeSettlementHeaderMonetarySummation>"
        f"<ram:LineTotalAmount>{amounts['line_total']}</ram:LineTotalAmount>"
        f"<ram:AllowanceTotalAmount>{amounts['allowance_total']}</ram:AllowanceTotalAmount><ram:TaxBasisTotalAmount>{amounts['net']}"
        f'</ram:TaxBasisTotalAmount><ram:TaxTotalAmount currencyID="{currency}">{amounts["tax"]}</ram:TaxTotalAmount><ram:GrandTotalAmount>'
        f"{amounts['gross']}</ram:GrandTotalAmount><ram:TotalPrepaidAmount>{amounts['prepaid']}"
        f"</ram:TotalPrepaidAmount><ram:DuePayableAmount>"
        f"{amounts['payable']}</ram:DuePayableAmount></ram:SpecifiedTradeSettlementHeaderMonetarySummation>"
        f"</ram:ApplicableHeaderTradeSettlement>"
    )


def cii(draft: Draft) -> str:
    code = "381" if draft.is_credit_note else "380"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<rsm:CrossIndustryInvoice xmlns:rsm="{_CII}CrossIndustryInvoice:100" '
        f'xmlns:ram="{_CII}ReusableAggregateBusinessInformationEntity:100" xmlns:udt="{_CII}UnqualifiedDataType:100">'
        f"<rsm:ExchangedDocumentContext><ram:GuidelineSpecifiedDocumentContextParameter><ram:ID>{_GUIDELINE}</ram:ID>"
        f"</ram:GuidelineSpecifiedDocumentContextParameter></rsm:ExchangedDocumentContext><rsm:ExchangedDocument>"
        f"<ram:ID>{escape(draft.number)}"
        f"</ram:ID><ram:TypeCode>{code}</ram:TypeCode><ram:IssueDateTime>"
        f'<udt:DateTimeString format="102">{draft.issued:%Y%m%d}</udt:DateTimeString>'
        f"</ram:IssueDateTime></rsm:ExchangedDocument><rsm:SupplyChainTradeTransaction>"
        f"{''.join(_cii_line(draft, index) for index in range(len(draft.lines)))}{_cii_agreement(draft)}{_cii_settlement(draft)}"
        f"</rsm:SupplyChainTradeTransaction></rsm:CrossIndustryInvoice>"
    )
