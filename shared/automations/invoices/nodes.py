"""Reading values out of XML elements: what is absent or malformed is None, never an exception."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Final

from lxml import etree

# Bounded, so that no document can make Decimal arithmetic expensive.
_NUMBER: Final = re.compile(r"[+-]?\d{1,15}(?:\.\d{0,10})?|[+-]?\.\d{1,10}")
_PREFIX: Final = re.compile(r"(\w+):")
_DATE: Final = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")


def decimal(text: str | None) -> Decimal | None:
    stripped = (text or "").strip()
    return Decimal(stripped) if _NUMBER.fullmatch(stripped) and stripped.isascii() else None


def day(text: str | None) -> date | None:
    """ISO 8601 calendar dates, extended (UBL) or basic (CII format 102); a time zone after them is ignored."""
    match = _DATE.match((text or "").strip())
    try:
        return date(int(match[1]), int(match[2]), int(match[3])) if match else None
    except ValueError:
        return None


class Paths(dict[str, str]):
    """Paths with prefixes to the ones that lxml needs, each expanded once: with a map of namespaces it would expand at every call."""

    def __init__(self, namespaces: Mapping[str, str]) -> None:
        super().__init__()
        self._namespaces = namespaces

    def __missing__(self, path: str) -> str:
        expanded = _PREFIX.sub(lambda match: f"{{{self._namespaces[match[1]]}}}", path)
        self[path] = expanded
        return expanded


class Node:
    """An element, or none: looking into what is not there gives nothing again."""

    __slots__ = ("_element", "_paths")

    def __init__(self, element: etree._Element | None, paths: Paths) -> None:
        self._element = element
        self._paths = paths

    def __bool__(self) -> bool:
        return self._element is not None

    def first(self, path: str) -> Node:
        return Node(None if self._element is None else self._element.find(self._paths[path]), self._paths)

    def every(self, path: str) -> list[Node]:
        if self._element is None:
            return []
        return [Node(element, self._paths) for element in self._element.findall(self._paths[path])]

    def text(self, path: str) -> str | None:
        if self._element is None:
            return None
        found = self._element.findtext(self._paths[path])
        return (found.strip() or None) if isinstance(found, str) else None

    def decimal(self, path: str) -> Decimal | None:
        return decimal(self.text(path))

    def day(self, path: str) -> date | None:
        return day(self.text(path))

    def attribute(self, name: str) -> str | None:
        return None if self._element is None else self._element.get(name)

    def own_text(self) -> str | None:
        return None if self._element is None else ((self._element.text or "").strip() or None)


def total(amounts: list[Decimal | None]) -> Decimal | None:
    """The sum of what is there; None where nothing is."""
    present = [amount for amount in amounts if amount is not None]
    return sum(present, Decimal(0)) if present else None
