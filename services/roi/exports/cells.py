"""One value in a file that a spreadsheet may open."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

Cell = str | int | Decimal | bool | None

# A spreadsheet takes text that begins so for a formula, which may call out: text of other people is never run. OWASP, "CSV Injection".
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# Where commas part decimals, spreadsheets part the cells of a file at semicolons or tabs, and our quotes then mean nothing to them.
_NEXT_CELL = re.compile('([;\t\r\n]"*)(?=[=+@\uff1d\uff0b\uff0d\uff20-])')
# Digits that a double holds for certain.
_DIGITS = 15


def cell(value: object) -> Cell:
    """A value of an answer; lists and mappings have no place in one cell and are None."""
    match value:
        case Enum():
            return str(value.value)
        case bool() | int() | Decimal() | None:
            return value
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
        case UUID():
            return str(value)
        case Mapping() | list() | tuple():
            return None
        case _:
            return harmless(str(value))


def harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula: an apostrophe before what begins like one."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def written(value: Cell) -> str:
    """As in CSV: decimals with every digit and without an exponent; no text that is a formula wherever the file is cut into cells."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return f"{value:f}"
        case str():
            return _NEXT_CELL.sub(r"\1'", value)
        case _:
            return str(value)


def exact(value: Decimal) -> float | None:
    """The number as spreadsheets hold it; None where that would change a digit."""
    number = float(value)
    digits = len(value.normalize().as_tuple().digits)
    return number if digits <= _DIGITS and Decimal(repr(number)) == value else None
