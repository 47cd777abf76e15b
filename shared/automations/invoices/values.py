"""Values in the texts of XML elements: what is absent or malformed is None, never an exception."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Final

# Bounded, so that no document can make Decimal arithmetic expensive.
_NUMBER: Final = re.compile(r"[+-]?\d{1,15}(?:\.\d{0,10})?|[+-]?\.\d{1,10}", re.ASCII)
_DATE: Final = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")
_DATE_LENGTH: Final = len("2026-12-31")


def stripped(text: str | None) -> str | None:
    """None where there is nothing but white space."""
    return (text.strip() or None) if text else None


def decimal(text: str | None) -> Decimal | None:
    number = text.strip() if text else ""
    return Decimal(number) if _NUMBER.fullmatch(number) else None


def day(text: str | None) -> date | None:
    """ISO 8601 calendar dates, extended (UBL) or basic (CII format 102); a time zone after them is ignored."""
    return _day(text.strip()[:_DATE_LENGTH]) if text else None


# A few hundred dates make up nearly all that occur.
@lru_cache(maxsize=2_048)
def _day(text: str) -> date | None:
    match = _DATE.match(text)
    try:
        return date(int(match[1]), int(match[2]), int(match[3])) if match else None
    except ValueError:
        return None


def present(amounts: Iterable[Decimal | None]) -> tuple[Decimal, ...]:
    return tuple([amount for amount in amounts if amount is not None])


def total(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum of what is there; None where nothing is."""
    known = present(amounts)
    return sum(known, Decimal(0)) if known else None


def joined(first: str | None, second: str | None) -> str:
    return f"{first} {second}" if first and second else first or second or ""
