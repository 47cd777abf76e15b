"""Decimals in answers are strings without an exponent: ``0.0000002805``, which every reader and spreadsheet takes, not ``2.805E-7``."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import PlainSerializer


def _plain(value: Decimal) -> str:
    return f"{value:f}"


Plain = Annotated[Decimal, PlainSerializer(_plain, return_type=str, when_used="json")]
