"""Reading and checking invoices: the public test suites, planted faults, hostile documents."""

from __future__ import annotations

import csv
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from pydantic import ValidationError

from services.lab.synth import generate
from shared.automations.contract import Context
from shared.automations.invoices import AUTOMATION
from shared.automations.invoices.checks import arithmetic, findings, is_iban
from shared.automations.invoices.invoice import Invoice
from shared.automations.invoices.reader import UnreadableDocument, read
from shared.money import Currency, Money

DATA = Path(os.environ.get("RECOUP_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))  # noqa: TID251 - where public data are is the machine's
XRECHNUNG = sorted((DATA / "xrechnung-testsuite").rglob("*.xml"))
OTHERS = sorted((*(DATA / "en16931").rglob("*.xml"), *(DATA / "zugferd-corpus").rglob("*.xml")))
# Rules of EN 16931 that `arithmetic` checks, and the code it gives.
CODES = {
    "BR-CO-10": "line_sum_differs",
    "BR-CO-11": "allowance_sum_differs",
    "BR-CO-12": "charge_sum_differs",
    "BR-CO-13": "net_differs",
    "BR-CO-14": "tax_sum_differs",
    "BR-CO-15": "gross_differs",
    "BR-CO-16": "payable_differs",
}


def _structured(**changes: Any) -> dict[str, Any]:
    return {
        "number": "R-1",
        "issue_date": "2026-10-01",
        "due_date": "2026-10-31",
        "currency": "EUR",
        "seller": {"name": "Keller GmbH", "vat_id": "DE123456789", "country": "DE"},
        "buyer": {"name": "Nordwind"},
        "lines": [{"net": "100.00", "description": "Software licence"}],
        "taxes": [{"basis": "100.00", "amount": "19.00", "rate": "19"}],
        "line_total": "100.00",
        "net": "100.00",
        "tax": "19.00",
        "gross": "119.00",
        "iban": "DE79 0000 0000 1234 5678 90",
    } | changes


def _reasons(data: dict[str, Any], context: Context | None = None) -> tuple[str, ...]:
    verdict = AUTOMATION.rules(AUTOMATION.data_model.model_validate(data), context or Context())
    return verdict.reasons if verdict else ()


def _everything(document: str) -> None:
    """Calls all that a process calls with an event; a crash would fail the test."""
    data = AUTOMATION.data_model.model_validate({"document": document})
    AUTOMATION.rules(data, Context(duplicate_of="x"))
    AUTOMATION.features(data)
    AUTOMATION.stratum(data)
    AUTOMATION.fingerprint(data)
    AUTOMATION.cash(data, "reject", ("duplicate",))
    AUTOMATION.conclude(data, "post", 0.9)


def test_the_public_test_suite_is_complete() -> None:
    assert len(XRECHNUNG) == 39


@pytest.mark.parametrize("path", XRECHNUNG, ids=lambda path: path.stem)
def test_every_valid_public_invoice_is_read_and_adds_up(path: Path) -> None:
    invoice = read(path.read_text(encoding="utf-8"))
    assert findings(invoice) == ()
    assert invoice.lines
    assert invoice.taxes
    assert invoice.seller.vat_id or invoice.seller.name


def test_public_files_of_any_kind_never_crash() -> None:
    assert len(OTHERS) > 300
    for path in OTHERS:
        _everything(path.read_bytes().decode("utf-8", "replace")[:1_000_000])


def _unit_tests() -> list[tuple[str, str, str]]:
    """(rule, expectation, document) of each test of the reference rules that is about arithmetic."""
    found = []
    for path in sorted((DATA / "en16931/test").glob("*-unit-UBL/BR-CO-1[0-6].xml")):
        for test in etree.parse(str(path)).getroot().iter("{*}test"):
            for document in (child for child in test if etree.QName(child).localname in {"Invoice", "CreditNote"}):
                for expectation in ("error", "success"):
                    rules = [element.text or "" for element in test.iter(f"{{*}}{expectation}")]
                    found += [(rule, expectation, etree.tostring(document, encoding="unicode")) for rule in rules if rule in CODES]
    return found


def test_our_arithmetic_agrees_with_the_reference_unit_tests() -> None:
    cases = _unit_tests()
    wrong = []
    for rule, expectation, document in cases:
        is_reported = CODES[rule] in arithmetic(read(document))
        if is_reported != (expectation == "error"):
            wrong.append((rule, expectation))
    assert len(cases) >= 80
    assert wrong == []


def test_the_index_of_reference_tests_lists_what_we_compare_with() -> None:
    with (DATA / "en16931/unit_tests_index.csv").open(encoding="utf-8") as file:
        assert sum(1 for row in csv.DictReader(file) if row["expect_error_rules"] in CODES) >= 20


def test_a_right_structured_invoice_is_left_to_the_models() -> None:
    assert _reasons(_structured()) == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"number": None}, "number_missing"),
        ({"line_total": "101.00"}, "line_sum_differs"),
        ({"net": "99.98", "line_total": "100.00"}, "net_differs"),
        ({"tax": "18.00"}, "tax_sum_differs"),
        ({"taxes": [{"basis": "100", "amount": "7", "rate": "19"}], "tax": "7", "gross": "107"}, "tax_rate_differs"),
        ({"gross": "119.01"}, "gross_differs"),
        ({"payable": "100"}, "payable_differs"),
        ({"due_date": "2026-09-30"}, "due_before_issue"),
        ({"iban": "DE79000000001234567891"}, "iban_wrong"),
        ({"seller": {"name": "X", "vat_id": "12345"}}, "seller_vat_id_malformed"),
        ({"buyer": {}}, "buyer_missing"),
    ],
)
def test_each_planted_fault_has_its_reason(changes: dict[str, Any], reason: str) -> None:
    assert reason in _reasons(_structured(**changes))


def test_the_covariate_counts_the_checks_that_the_document_fails() -> None:
    fine = AUTOMATION.data_model.model_validate(_structured())
    odd = AUTOMATION.data_model.model_validate(_structured(tax="20.00", number=None))
    unreadable = AUTOMATION.data_model.model_validate({"document": "<Invoice"})
    assert [AUTOMATION.covariate_of(data) for data in (fine, odd, unreadable)] == [0.0, float(len(_reasons(odd.model_dump()))), 0.0]
    assert len(_reasons(odd.model_dump())) >= 2


def test_a_duplicate_is_proposed_for_rejection_and_saves_what_was_payable() -> None:
    data = AUTOMATION.data_model.model_validate(_structured(prepaid="19", payable="100"))
    verdict = AUTOMATION.rules(data, Context(duplicate_of="case-1"))
    assert verdict is not None
    assert (verdict.outcome, verdict.reasons) == ("reject", ("duplicate",))
    assert AUTOMATION.requires_person("reject")
    assert AUTOMATION.cash(data, "reject", verdict.reasons) == Money(Decimal(100), Currency("EUR"))
    assert AUTOMATION.cash(data, "post", verdict.reasons) is None
    assert AUTOMATION.cash(data, "reject", ("iban_wrong",)) is None


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("", "unreadable_document"),
        ("<Invoice", "unreadable_document"),
        ("no xml at all", "unreadable_document"),
        ("<a/>", "unsupported_document"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "document_type_declaration"),
        ("<a>" * 5_000, "unreadable_document"),
        ("é" * 600_000, "document_too_large"),
        ('<?xml version="1.0" encoding="UTF-16"?><a/>', "unsupported_document"),
    ],
)
def test_what_cannot_be_read_is_an_exception_with_a_reason_not_a_crash(document: str, reason: str) -> None:
    assert _reasons({"document": document}) == (reason,)
    _everything(document)


def test_entities_are_not_expanded() -> None:
    layers = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 10))
    bomb = f'<!DOCTYPE a [<!ENTITY e0 "boom">{layers}]><a>&e9;</a>'
    with pytest.raises(UnreadableDocument):
        read(bomb)


def test_one_invoice_has_one_fingerprint_in_every_syntax() -> None:
    events = {event.event_id: event for event in generate("invoices", 3_000, 5)}
    repeated = [event for event in events.values() if event.duplicate_of]
    assert len(repeated) > 20
    for event in repeated:
        first = AUTOMATION.data_model.model_validate(events[event.duplicate_of or ""].data)
        assert AUTOMATION.fingerprint(first) == AUTOMATION.fingerprint(AUTOMATION.data_model.model_validate(event.data)) is not None


def test_ibans_are_checked_modulo_97() -> None:
    assert is_iban("DE79 0000 0000 1234 5678 90")
    assert not is_iban("DE79 0000 0000 1234 5678 91")
    assert not is_iban("DE7")


def test_unknown_fields_and_floods_are_refused() -> None:
    for data in (_structured(colour="red"), {"document": "x" * 1_000_001}, _structured(gross="1e400"), _structured(gross="NaN")):
        with pytest.raises(ValidationError):
            AUTOMATION.data_model.model_validate(data)


@settings(deadline=None)
@given(st.text(max_size=400))
def test_no_text_crashes_the_reader(document: str) -> None:
    _everything(document)


@settings(deadline=None)
@given(st.sampled_from(["LineExtensionAmount", "TaxAmount", "IssueDate", "PayableAmount", "ID"]), st.text(max_size=30))
def test_no_value_in_a_document_crashes_the_checks(tag: str, value: str) -> None:
    event = next(event for event in generate("invoices", 200, 1) if str(event.data.get("document", "")).find("<Invoice ") > 0)
    root = etree.fromstring(str(event.data["document"]).split("?>", 1)[1])
    for element in root.iter(f"{{*}}{tag}"):
        try:
            element.text = value
        except ValueError:
            return
    _everything(etree.tostring(root, encoding="unicode"))


def test_a_normal_invoice_is_posted_to_a_suggested_account() -> None:
    data = AUTOMATION.data_model.model_validate(_structured())
    verdict = AUTOMATION.conclude(data, "post", 0.99)
    assert verdict.attributes == {"account": "software", "supplier": "DE123456789", "reference": "R-1"}
    assert isinstance(data.root.invoice, Invoice)  # type: ignore[attr-defined]  # the root model of this automation
