"""The one form of bytes that an entry of the ledger is hashed in: JSON with sorted names, nothing optional, nothing rounded.

Whole numbers are JSON numbers; everything else is a string or null: identifiers in lower case with hyphens, decimals in the column's full
scale, instants in UTC with six decimals and `Z`. The result is canonical JSON by RFC 8785 too. An entry's transaction id is left out: it is
the database's, not the customer's, and a restored database has others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

import orjson


class Entry(StrEnum):
    """What a leaf of the tree is: lines, and what they are valued by."""

    LINE = "line"
    RATE = "rate"
    BASELINE = "baseline"


class Form(StrEnum):
    """How a column is written."""

    TEXT = "text"
    WHOLE = "whole"
    DECIMAL = "decimal"
    IDENTIFIER = "identifier"
    INSTANT = "instant"


_LINE: Final = {
    "amount": Form.DECIMAL,
    "arm": Form.TEXT,
    "automation": Form.TEXT,
    "baseline_id": Form.IDENTIFIER,
    "booked_at": Form.INSTANT,
    "case_id": Form.IDENTIFIER,
    "currency": Form.TEXT,
    "grade": Form.TEXT,
    "id": Form.IDENTIFIER,
    "kind": Form.TEXT,
    "occurred_at": Form.INSTANT,
    "quantity": Form.DECIMAL,
    "reverses": Form.IDENTIFIER,
    "sequence": Form.WHOLE,
    "stratum": Form.TEXT,
    "tenant_id": Form.TEXT,
    "unit": Form.TEXT,
}
_RATE: Final = {
    "automation": Form.TEXT,
    "created_at": Form.INSTANT,
    "currency": Form.TEXT,
    "id": Form.IDENTIFIER,
    "name": Form.TEXT,
    "source": Form.TEXT,
    "tenant_id": Form.TEXT,
    "valid_from": Form.INSTANT,
    "value": Form.DECIMAL,
}
_BASELINE: Final = {
    "automation": Form.TEXT,
    "created_at": Form.INSTANT,
    "expires_at": Form.INSTANT,
    "grade": Form.TEXT,
    "id": Form.IDENTIFIER,
    "mean_seconds": Form.DECIMAL,
    "method": Form.TEXT,
    "n": Form.WHOLE,
    "stratum": Form.TEXT,
    "tenant_id": Form.TEXT,
    "valid_from": Form.INSTANT,
    "variance_seconds2": Form.DECIMAL,
}
# Sorted by name. Every column but `xid`; a test compares them with the tables.
FIELDS: Final[Mapping[Entry, Mapping[str, Form]]] = {Entry.LINE: _LINE, Entry.RATE: _RATE, Entry.BASELINE: _BASELINE}

Written = str | int | None


def canonical(entry: Entry, values: Sequence[Written]) -> bytes:
    """The bytes of an entry.

    Args:
        values: in the order of `FIELDS`; decimals, identifiers and instants as text already, as the database writes them.
    """
    named: dict[str, Written] = dict(zip(_NAMES[entry], values, strict=True))
    named["entry"] = entry.value
    return orjson.dumps(named, option=orjson.OPT_SORT_KEYS)


_NAMES: Final = {entry: tuple(fields) for entry, fields in FIELDS.items()}
