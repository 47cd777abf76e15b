"""Reading XML elements by shape: which element counts, and what is absent."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from lxml import etree

from shared.automations.invoices.shape import Attribute, Each, Record, Shape, calendar_day, every, first, number, text
from shared.automations.invoices.values import day, decimal

_NAMESPACES = {"a": "urn:a"}
_ITEM = Shape(_NAMESPACES, name=text("a:name"), amount=number("a:amount"), unit=Attribute("a:amount", "unit"))
_ORDER = Shape(
    _NAMESPACES,
    id=text("a:id"),
    due=calendar_day("a:terms/a:due"),
    city=text("a:party/a:address/a:city"),
    items=Each("a:item", _ITEM.read),
)


def _read(content: str) -> Record:
    return _ORDER.read(etree.fromstring(f'<order xmlns="urn:a">{content}</order>'))


def test_values_are_read_at_their_paths_and_nowhere_else() -> None:
    record = _read("<id> 7 </id><terms><due>20261231</due><id>8</id></terms><party><city>Ulm</city></party><other><id>9</id></other>")
    assert record == {"id": "7", "due": date(2026, 12, 31)}


def test_the_first_element_counts_even_if_it_is_empty() -> None:
    assert _read("<id/><id>8</id>") == {"id": None}


def test_a_path_goes_on_into_later_elements_where_the_first_has_nothing_at_its_end() -> None:
    assert _read("<party><address/></party><party><address><city>Ulm</city></address></party>") == {"city": "Ulm"}


def test_lists_hold_one_record_per_element_in_document_order() -> None:
    record = _read('<item><amount unit="EUR">1.50</amount></item><item><amount>x</amount><name>b</name></item>')
    assert every(record, "items") == [{"amount": Decimal("1.50"), "unit": "EUR"}, {"amount": None, "unit": None, "name": "b"}]
    assert first(record, "items")["unit"] == "EUR"


def test_a_list_without_elements_is_empty_and_its_first_record_too() -> None:
    assert every({}, "items") == []
    assert first({}, "items") == {}


def test_elements_of_other_namespaces_are_not_seen() -> None:
    assert _read('<id xmlns="urn:b">7</id>') == {}


@pytest.mark.parametrize("content", ["1e5", "١٢", "1,5", "1234567890123456", "-", ".", "NaN", "", None])
def test_what_is_no_bounded_plain_number_is_nothing(content: str | None) -> None:
    assert decimal(content) is None


@pytest.mark.parametrize("content", ["2026-02-30", "20260", "31.12.2026", "", None])
def test_what_is_no_calendar_day_is_nothing(content: str | None) -> None:
    assert day(content) is None


def test_a_time_zone_after_a_day_is_ignored() -> None:
    assert day(" 2026-02-28+01:00 ") == date(2026, 2, 28)
