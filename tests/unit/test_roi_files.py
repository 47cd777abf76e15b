"""Figures in files: exact, and never a formula."""

from __future__ import annotations

import csv
import io
import math
import re
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree

from services.roi.exports import files
from services.roi.exports.cells import cell, exact, harmless, written
from services.roi.exports.files import TooManyRows, as_csv, as_workbook
from services.roi.exports.tables import Table, paths
from services.roi.schemas import Figures, Point

SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=10, min_value=-(10**9), max_value=10**9)


@given(st.text())
def test_no_text_begins_like_a_formula(text: str) -> None:
    shown = harmless(text)
    assert shown in {text, f"'{text}"}
    assert not shown.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://evil.example")', "\uff1d1"])
def test_what_a_spreadsheet_would_run_is_quoted(text: str) -> None:
    assert cell(text) == f"'{text}"


@given(st.text(alphabet="a1;,\t\r\n\"'=+-@\uff1d "))
@example("a;=1+1")
@example('a;"=1+1;')
@example("a\n@SUM(A1)")
def test_no_part_of_a_text_is_a_formula_where_semicolons_part_cells_and_commas_decimals(text: str) -> None:
    first, *others = re.split("[;\t\r\n]", written(cell(text)))
    assert not [part for part in (first, *(other.lstrip('"') for other in others)) if part.startswith(("=", "+", "-", "@", "\uff1d"))]
    assert written(cell(text)).replace("'", "") == text.replace("'", "")


@given(decimals)
def test_a_decimal_keeps_every_digit_in_csv_and_in_a_workbook(value: Decimal) -> None:
    assert Decimal(written(value)) == value
    assert "E" not in written(value)
    number = exact(value)
    assert number is None or Decimal(repr(number)) == value


def test_a_number_that_a_spreadsheet_would_round_is_text() -> None:
    assert exact(Decimal("0.0000002805")) == 2.805e-7
    assert exact(Decimal("1234567890.1234567")) is None


def test_an_instant_is_written_in_utc() -> None:
    there = timezone(timedelta(hours=2))
    assert (
        cell(datetime(2026, 3, 4, 12, 30, tzinfo=there)) == cell(datetime(2026, 3, 4, 10, 30, tzinfo=UTC)) == "2026-03-04T10:30:00.000000Z"
    )


def test_columns_are_the_paths_of_single_values() -> None:
    assert list(paths(Point))[:3] == ["start", "cases.total", "cases.automated"]
    columns = list(paths(Figures))
    assert "saved.hours.low" in columns
    assert "money.labour_value.point" in columns
    assert not any(column.startswith(("rates", "money.unconverted")) for column in columns)


def test_csv_is_read_back_as_it_was_written() -> None:
    rows = [("a", Decimal("1.50"), None), ('two\n"lines", quoted', Decimal(-2), True)]
    text = b"".join(as_csv(Table("t", ("x", "y", "z"), iter(rows)))).decode()
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["x", "y", "z"], ["a", "1.50", ""], ['two\n"lines", quoted', "-2", "true"]]


def test_rows_are_taken_as_they_are_needed() -> None:
    taken = 0

    def rows() -> object:
        nonlocal taken
        for number in range(10_000):
            taken += 1
            yield (number,)

    first = next(as_csv(Table("t", ("n",), rows())))  # type: ignore[arg-type]  # a generator that counts
    assert first.startswith(b"n\r\n0\r\n1\r\n")
    assert taken < 1_000


def workbook(tables: list[Table]) -> dict[str, list[list[tuple[str, str]]]]:
    """By sheet: (type, value) of every cell, read from the file's own XML."""
    with zipfile.ZipFile(io.BytesIO(b"".join(as_workbook(tables)))) as archive:
        assert not any("externalLink" in name for name in archive.namelist())
        sheets = {}
        for number, table in enumerate(tables, start=1):
            root = etree.fromstring(archive.read(f"xl/worksheets/sheet{number}.xml"))
            assert root.find(f".//{SHEET}f") is None, "a formula"
            sheets[table.name] = [
                [(c.get("t", "n"), "".join(map(str, c.itertext()))) for c in row.findall(f"{SHEET}c")] for row in root.iter(f"{SHEET}row")
            ]
        return sheets


def test_a_workbook_holds_numbers_as_numbers_and_text_as_text() -> None:
    first = Table("one", ("name", "amount", "long"), [("'=1+1", Decimal("-12.50"), Decimal("1234567890.1234567")), ("x", Decimal(0), None)])
    sheets = workbook([first, Table("two", ("n",), [(7,), (True,)])])
    assert sheets["one"][1] == [("inlineStr", "'=1+1"), ("n", "-12.5"), ("inlineStr", "1234567890.1234567")]
    assert sheets["one"][2] == [("inlineStr", "x"), ("n", "0")]
    assert sheets["two"][1:] == [[("n", "7")], [("b", "1")]]


def test_a_workbook_that_nobody_could_open_is_refused_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_ROWS", 3)
    with pytest.raises(TooManyRows):
        as_workbook([Table("t", ("n",), ((number,) for number in range(4)))])
    assert workbook([Table("t", ("n",), [(number,) for number in range(3)])])["t"][3] == [("n", "2")]


def test_columns_are_wide_enough_to_read_what_is_in_them() -> None:
    tables = [Table("t", ("id", "a.long.name.of.a.column", "text"), [("0192f3c0-0000-7000-8000-000000000001", 1, "x" * 300)])]
    with zipfile.ZipFile(io.BytesIO(b"".join(as_workbook(tables)))) as archive:
        (sheet,) = (archive.read(name).decode() for name in archive.namelist() if name.startswith("xl/worksheets/"))
    widths = [float(found) for found in re.findall(r'<col [^>]*width="([0-9.]+)"', sheet)]
    assert [math.floor(width) for width in widths] == [38, 25, 60]
