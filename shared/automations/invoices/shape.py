"""Shapes of XML elements: which values are read, from which paths. A document is walked once, and only where a shape looks.

Asking an element path by path costs a search of its children each time, which is most of what reading an invoice would cost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from lxml import etree

from shared.automations.invoices.values import day, decimal, stripped

_PREFIX: Final = re.compile(r"(\w+):")

# Values by name. A value is the one of the first element at its path, in document order, even if that one is empty; a name without an
# element is absent. What `Each` reads is a list.
Record = dict[str, Any]
Convert = Callable[[str | None], object]
Read = Callable[[etree._Element], object]  # noqa: SLF001 - the only name that lxml has for the type of an element


class Value(NamedTuple):
    """What ``convert`` makes of the text of the first element at ``path``."""

    path: str
    convert: Convert


class Attribute(NamedTuple):
    """An attribute of the first element at ``path``, as it is; None where that element has none of this name."""

    path: str
    name: str


class Each(NamedTuple):
    """What ``read`` makes of every element at ``path``, in a list; mostly records, by `Shape.read`."""

    path: str
    read: Read


text = partial(Value, convert=stripped)
number = partial(Value, convert=decimal)
calendar_day = partial(Value, convert=day)


class _Step:
    """What is read of the children with one tag, under which names; and what is deeper on a path."""

    __slots__ = ("attribute", "deeper", "each", "value")

    def __init__(self) -> None:
        self.value: tuple[str, Convert] | None = None
        self.attribute: tuple[str, str] | None = None
        self.each: tuple[str, Read] | None = None
        self.deeper: dict[str, _Step] = {}

    def add(self, name: str, member: Value | Attribute | Each) -> None:
        match member:
            case Value(_, convert):
                self.value = (name, convert)
            case Attribute(_, attribute):
                self.attribute = (name, attribute)
            case Each(_, read):
                self.each = (name, read)


class Shape:
    """Values and lists of one kind of element. Paths are child steps ``prefix:name/prefix:name``.

    Of the elements at one path at most one value or list, and one attribute are read.
    """

    __slots__ = ("_steps",)

    def __init__(self, namespaces: Mapping[str, str], **members: Value | Attribute | Each) -> None:
        self._steps: dict[str, _Step] = {}
        for name, member in members.items():
            tags = [_PREFIX.sub(lambda match: f"{{{namespaces[match[1]]}}}", part) for part in member.path.split("/")]
            self._step(tags).add(name, member)

    def _step(self, tags: Sequence[str]) -> _Step:
        step = self._steps.setdefault(tags[0], _Step())
        for tag in tags[1:]:
            step = step.deeper.setdefault(tag, _Step())
        return step

    def read(self, element: etree._Element) -> Record:
        record: Record = {}
        _walk(element, self._steps, record)
        return record


def _walk(element: etree._Element, steps: Mapping[str, _Step], record: Record) -> None:
    for child in element:
        step = steps.get(child.tag)
        if step is None:
            continue
        if step.value is not None:
            name, convert = step.value
            if name not in record:
                record[name] = convert(child.text)
        elif step.each is not None:
            name, read = step.each
            record.setdefault(name, []).append(read(child))
        if step.attribute is not None:
            name, attribute = step.attribute
            record.setdefault(name, child.get(attribute))
        if step.deeper:
            _walk(child, step.deeper, record)


def every(record: Record, name: str) -> list[Record]:
    records: list[Record] = record.get(name, [])
    return records


def first(record: Record, name: str) -> Record:
    """Empty where there is none."""
    records: list[Record] | None = record.get(name)
    return records[0] if records else {}
