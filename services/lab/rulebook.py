"""Cases of each hard rule: generated events that are brought under it by as little as possible.

Written from what the rules are for, not by them, so that a rule that was lost, or is asked after a model, is found by the cases that it was
for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from pydantic import BaseModel

from services.lab.synth import generate
from shared.automations.claims.decisions import FAST_TRACK_LIMIT, LATE_REPORT_DAYS, MANY_PRIOR_CLAIMS, NEW_POLICY_DAYS
from shared.automations.complaints.decisions import FEWEST_WORDS
from shared.automations.contract import Automation, Context
from shared.automations.invoices.reader import MAX_BYTES

Data = Mapping[str, Any]
Change = Callable[[Data], Data | None]
_EVENTS: Final = 400
_MOST: Final = 40
_CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class HardRule:
    """One hard rule.

    Attributes:
        reason: its code.
        change: of an event's data, so that the rule applies; None where this event cannot be changed so.
        may: outcomes that such a case may get without a person.
        repeats: the case is the second one of its document.
    """

    reason: str
    change: Change
    may: frozenset[str] = frozenset()
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class RuleCase:
    """A case of one rule; ``event`` is the generated event that it was made of."""

    rule: HardRule
    event: str
    data: BaseModel
    context: Context


def cases(automation: Automation, seed: int) -> list[RuleCase]:
    """At most forty of each hard rule of the automation; none where it is not one whose rules are told here."""
    rules = RULES.get(automation.name, ())
    events = list(islice(generate(automation.name, _EVENTS, seed), _EVENTS)) if rules else []
    return [found for rule in rules for found in islice(_cases(automation, rule, [(e.event_id, e.data) for e in events]), _MOST)]


def _cases(automation: Automation, rule: HardRule, events: Sequence[tuple[str, Data]]) -> Iterator[RuleCase]:
    context = Context(duplicate_of="the first one") if rule.repeats else Context()
    for event, data in events:
        changed = rule.change(data)
        if changed is not None:
            yield RuleCase(rule, event, automation.data_model.model_validate(changed), context)


def _set(**values: object) -> Change:
    return lambda data: {**data, **values}


def _day(data: Data, name: str, days: int = 0) -> str:
    return (date.fromisoformat(data[name]) + timedelta(days=days)).isoformat()


def _outside_cover(data: Data) -> Data:
    return {**data, "policy_start": _day(data, "loss_date", -366), "policy_end": _day(data, "loss_date", -1)}


def _above_limit(data: Data) -> Data:
    amount = FAST_TRACK_LIMIT[data["currency"]] + _CENT
    return {**data, "amount_claimed": str(amount), "sum_insured": str(10 * amount)}


def _late(data: Data) -> Data:
    loss = {**data, "loss_date": _day(data, "reported_date", -LATE_REPORT_DAYS - 1)}
    return {**loss, "policy_start": _day(loss, "loss_date", -60), "policy_end": _day(loss, "loss_date", 305)}


def _just_after_start(data: Data) -> Data:
    start = _day(data, "loss_date", -NEW_POLICY_DAYS)
    return {
        **data,
        "policy_start": start,
        "policy_end": _day(data, "loss_date", 360),
        "sum_insured": str(2 * Decimal(data["amount_claimed"])),
    }


_TO_ADJUSTER: Final[Mapping[str, Change]] = {
    "policy_dates_inconsistent": lambda data: {**data, "policy_end": _day(data, "policy_start", -1)},
    "outside_cover_period": _outside_cover,
    "reported_before_loss": lambda data: {**data, "reported_date": _day(data, "loss_date", -1)},
    "injury": _set(injured_persons=1),
    "above_sum_insured": lambda data: {**data, "sum_insured": str(Decimal(data["amount_claimed"]) - _CENT)},
    "not_above_deductible": lambda data: {**data, "deductible": data["amount_claimed"]},
    "no_limit_for_currency": _set(currency="JPY"),
    "above_fast_track_limit": _above_limit,
    "reported_late": _late,
    "no_police_report": _set(line="home", cause="theft", police_report=False),
}
_TO_INVESTIGATION: Final[Mapping[str, Change]] = {
    "many_prior_claims": _set(prior_claims=MANY_PRIOR_CLAIMS),
    "loss_just_after_start": _just_after_start,
}


def _fields(change: Change) -> Change:
    """Only of invoices that came as fields."""
    return lambda data: None if "document" in data else change(data)


def _shifted(name: str, by: Decimal = _CENT) -> Change:
    return _fields(lambda data: {**data, name: str(Decimal(data[name]) + by)})


def _of(party: str, **values: object) -> Change:
    return _fields(lambda data: {**data, party: {**data[party], **values}})


def _tax_shifted(by: Decimal) -> Change:
    def change(data: Data) -> Data:
        first, *others = data["taxes"]
        return {**data, "taxes": [{**first, "amount": str(Decimal(first["amount"]) + by)}, *others]}

    return _fields(change)


def _ubl(pattern: str, to: str) -> Change:
    """Of invoices in UBL, the first place that the pattern finds; elsewhere they stay as they are."""
    found = re.compile(pattern, re.DOTALL)

    def change(data: Data) -> Data | None:
        document = data.get("document", "")
        return {**data, "document": found.sub(to, document, count=1)} if found.search(document) else None

    return change


def _charged(indicator: str) -> Change:
    """A charge or an allowance of one unit that the totals do not know."""
    charge = (
        f"<cac:AllowanceCharge><cbc:ChargeIndicator>{indicator}</cbc:ChargeIndicator><cbc:Amount>1.00</cbc:Amount></cac:AllowanceCharge>"
    )
    return _ubl("<cac:TaxTotal>", f"{charge}<cac:TaxTotal>")


_LINE: Final = r"<cac:(Invoice|CreditNote)Line>.*</cac:\1Line>"
_TO_A_PERSON: Final[Mapping[str, Change]] = {
    "unreadable_document": _ubl(r"</\w+>$", ""),
    "unsupported_document": _ubl(r".+", "<Order/>"),
    "document_too_large": _ubl(r"(</\w+>)$", rf"\1<!--{'ä' * (MAX_BYTES // 2)}-->"),
    "document_type_declaration": _ubl(r"\?>", "?><!DOCTYPE Invoice>"),
    "number_missing": _fields(_set(number=None)),
    "issue_date_missing": _fields(_set(issue_date=None)),
    "currency_missing": _fields(_set(currency=None)),
    "seller_missing": _of("seller", name=None),
    "buyer_missing": _of("buyer", name=None),
    "net_missing": _fields(_set(net=None)),
    "gross_missing": _fields(_set(gross=None)),
    "payable_missing": _fields(_set(gross=None, payable=None)),
    "lines_missing": _ubl(_LINE, ""),
    "currency_malformed": _ubl(r"(<cbc:DocumentCurrencyCode>)\w+", r"\1Euro"),
    "due_before_issue": _fields(lambda data: {**data, "due_date": _day(data, "issue_date", -1)}),
    "seller_vat_id_malformed": _of("seller", vat_id="12-34"),
    "iban_wrong": _fields(lambda data: {**data, "iban": f"{data['iban'][:-1]}{(int(data['iban'][-1]) + 1) % 10}"}),
    "line_amount_missing": _ubl(r"(<cac:\w+Line>.*?)<cbc:LineExtensionAmount.*?</cbc:LineExtensionAmount>", r"\1"),
    "line_sum_differs": _shifted("line_total"),
    "allowance_sum_differs": _charged("false"),
    "charge_sum_differs": _charged("true"),
    "net_differs": _shifted("net"),
    "tax_sum_differs": _shifted("tax"),
    "tax_rate_differs": _tax_shifted(1 + _CENT),
    "gross_differs": _shifted("gross"),
    "payable_differs": _shifted("payable"),
}

RULES: Final[Mapping[str, Sequence[HardRule]]] = {
    "claims": (
        *(HardRule(reason, change, frozenset({"adjuster"})) for reason, change in _TO_ADJUSTER.items()),
        *(HardRule(reason, change) for reason, change in _TO_INVESTIGATION.items()),
    ),
    "invoices": (
        *(HardRule(reason, change) for reason, change in _TO_A_PERSON.items()),
        HardRule("duplicate", lambda data: data, repeats=True),
    ),
    "complaints": (HardRule("text_too_short", lambda data: {**data, "text": " ".join(data["text"].split()[: FEWEST_WORDS - 1])}),),
}
