"""Tables as bytes, in bounded memory."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import chain, islice
from typing import IO, TYPE_CHECKING

from services.roi.exports.cells import exact, written
from shared.errors import Rejected

if TYPE_CHECKING:
    import xlsxwriter

    from services.roi.exports.cells import Cell
    from services.roi.exports.tables import Table

_ROWS = 500
_CHUNK = 1 << 16
# Rows whose content says how wide columns are, and the most signs that one shows.
_MEASURED, _WIDEST = 100, 60
# Beyond that a workbook takes minutes to write and to open.
MOST_ROWS = 100_000


class TooManyRows(Rejected):
    """A workbook would be too large: ask for CSV or for a shorter period."""

    code = "too_many_rows"


def as_csv(table: Table) -> Iterator[bytes]:
    """RFC 4180 with a header, UTF-8, a few hundred rows at a time."""
    rows = chain([table.columns], (tuple(written(value) for value in row) for row in table.rows))
    while portion := list(islice(rows, _ROWS)):
        text = io.StringIO(newline="")
        csv.writer(text).writerows(portion)
        yield text.getvalue().encode()


def as_workbook(tables: Sequence[Table]) -> Iterator[bytes]:
    """One sheet for each table; written to a temporary file before the first bytes are yielded.

    Raises:
        TooManyRows: before anything is yielded.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115  # closed when its last bytes are sent
    try:
        _write(file, tables)
    except BaseException:
        file.close()
        raise
    return _read(file)


def _write(file: IO[bytes], tables: Iterable[Table]) -> None:
    import xlsxwriter

    # Text is text, whatever it begins with or looks like; rows go to disk as they come.
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(file, options) as workbook:
        bold = workbook.add_format({"bold": True})
        for table in tables:
            sheet = workbook.add_worksheet(table.name)
            sheet.freeze_panes(1, 0)
            widths = [len(name) for name in table.columns]
            for column, name in enumerate(table.columns):
                sheet.write_string(0, column, name, bold)
            for number, row in enumerate(table.rows, start=1):
                if number > MOST_ROWS:
                    raise TooManyRows
                for column, value in enumerate(row):
                    _put(sheet, number, column, value)
                    if number <= _MEASURED:
                        widths[column] = max(widths[column], len(written(value)))
            for column, width in enumerate(widths):
                sheet.set_column(column, column, min(width + 2, _WIDEST))


def _put(sheet: xlsxwriter.worksheet.Worksheet, row: int, column: int, value: Cell) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
        return
    number = exact(Decimal(value)) if isinstance(value, Decimal | int) else None
    if number is None:
        # A number that a spreadsheet would round stays as it is, as text.
        sheet.write_string(row, column, written(value))
    else:
        sheet.write_number(row, column, number)


def _read(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while chunk := file.read(_CHUNK):
            yield chunk
