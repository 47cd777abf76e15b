"""The data of ``com.recoup.invoice.received.v1``: an e-invoice document, or fields that another system has read already."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, RootModel, Tag

from shared.automations.invoices.invoice import Invoice, InvoiceLine, Party, TaxSubtotal, Totals
from shared.automations.invoices.reader import MAX_BYTES, UnreadableDocument, read

Amount = Annotated[Decimal, Field(max_digits=15, decimal_places=4)]
Name = Annotated[str, Field(max_length=512)]
Code = Annotated[str, Field(max_length=64)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class PartyFields(_Strict):
    name: Name | None = None
    vat_id: Code | None = None
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None

    def value(self) -> Party:
        return Party(self.name, self.vat_id, self.country)


class LineFields(_Strict):
    net: Amount
    description: Annotated[str, Field(max_length=2_000)] = ""
    quantity: Annotated[Decimal, Field(max_digits=18, decimal_places=6)] | None = None
    tax_rate: Annotated[Decimal, Field(ge=0, le=100, max_digits=7, decimal_places=4)] | None = None


class TaxFields(_Strict):
    basis: Amount
    amount: Amount
    rate: Annotated[Decimal, Field(ge=0, le=100, max_digits=7, decimal_places=4)] | None = None
    category: Annotated[str, Field(max_length=3)] | None = None


class _Known(_Strict):
    """What the sending system knows about the invoice from its own books; None where it does not say.

    Attributes:
        seller_known: the seller is in the vendor master.
        order_matched: an open purchase order of this value was found.
    """

    seller_known: bool | None = None
    order_matched: bool | None = None


class DocumentReceived(_Known):
    """UBL 2.1 or UN/CEFACT CII as text. What cannot be read is not refused: a person has to look at it."""

    document: Annotated[str, Field(max_length=MAX_BYTES)]

    @cached_property
    def invoice(self) -> Invoice | UnreadableDocument:
        try:
            return read(self.document)
        except UnreadableDocument as unreadable:
            return unreadable


class FieldsReceived(_Known):
    """Everything is optional here: what is missing or does not add up is a reason, not a refusal."""

    number: Code | None = None
    type_code: Annotated[str, Field(max_length=3)] = "380"
    issue_date: date | None = None
    due_date: date | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    seller: PartyFields = Field(default_factory=PartyFields)
    buyer: PartyFields = Field(default_factory=PartyFields)
    lines: Annotated[tuple[LineFields, ...], Field(max_length=5_000)] = ()
    taxes: Annotated[tuple[TaxFields, ...], Field(max_length=100)] = ()
    line_total: Amount | None = None
    allowance_total: Amount | None = None
    charge_total: Amount | None = None
    net: Amount | None = None
    tax: Amount | None = None
    gross: Amount | None = None
    prepaid: Amount | None = None
    rounding: Amount | None = None
    payable: Amount | None = None
    iban: Code | None = None
    order_reference: Code | None = None

    @cached_property
    def invoice(self) -> Invoice:
        return Invoice(
            number=self.number,
            type_code=self.type_code,
            issue_date=self.issue_date,
            due_date=self.due_date,
            currency=self.currency,
            seller=self.seller.value(),
            buyer=self.buyer.value(),
            totals=self._totals(),
            lines=tuple([InvoiceLine(line.net, line.description) for line in self.lines]),
            taxes=tuple([TaxSubtotal(tax.basis, tax.amount, tax.rate) for tax in self.taxes]),
            ibans=(self.iban,) if self.iban else (),
            order_reference=self.order_reference,
            has_lines=bool(self.lines),
        )

    def _totals(self) -> Totals:
        return Totals(
            lines=self.line_total,
            allowances=self.allowance_total,
            charges=self.charge_total,
            net=self.net,
            tax=self.tax,
            gross=self.gross,
            prepaid=self.prepaid,
            rounding=self.rounding,
            payable=self.payable if self.payable is not None else self.gross,
        )


def _kind(value: Any) -> str:
    if isinstance(value, DocumentReceived) or (isinstance(value, dict) and "document" in value):
        return "document"
    return "fields"


class InvoiceReceived(
    RootModel[Annotated[Annotated[DocumentReceived, Tag("document")] | Annotated[FieldsReceived, Tag("fields")], Discriminator(_kind)]]
):
    """Either form of the event's data; ``invoice`` is the same value for both, read once."""

    model_config = ConfigDict(frozen=True)

    @property
    def invoice(self) -> Invoice | UnreadableDocument:
        return self.root.invoice
