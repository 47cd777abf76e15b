"""A user's own table as labelled examples: which column is what."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from services.lab.examples import Example, UnreadableData, group_of, rows, written
from shared.automations.contract import Features
from shared.errors import Rejected

_SUFFIXES: Final = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_PARTS: Final = ("train", "validation", "tune", "certify")


class ColumnTwice(Rejected):
    """Label, text and each field are columns of their own: a model that reads the label is always right, and knows nothing."""

    code = "column_twice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Names of columns; without ``text``, the fields are the whole input.

    Attributes:
        group: near-copies share a value: a template, a vendor, a conversation. Without it, texts that open alike are a group, and so are
            rows without text that are equal in every column.
        part: says ``train``, ``validation``, ``tune`` or ``certify`` for rows whose split is given.
        segment: of customers or cases, for bounds and comparisons of their own.
    """

    label: str
    text: str | None = None
    fields: tuple[str, ...] = ()
    group: str | None = None
    part: str | None = None
    segment: str | None = None

    @property
    def twice(self) -> tuple[str, ...]:
        """Columns that are named more than once among label, text and fields."""
        counts = Counter((self.label, *self.fields, *([self.text] if self.text else [])))
        return tuple(name for name, count in counts.items() if count > 1)

    @property
    def wanted(self) -> tuple[str, ...]:
        named = (self.text, self.label, *self.fields, self.group, self.part, self.segment)
        return tuple(name for name in named if name is not None)


def files(path: Path) -> list[Path]:
    """The file, or every table in the folder, by name.

    Raises:
        UnreadableData: there is none.
    """
    found = (
        sorted(file for file in path.iterdir() if file.name.lower().removesuffix(".gz").endswith(_SUFFIXES)) if path.is_dir() else [path]
    )
    if not found or not all(file.is_file() for file in found):
        raise UnreadableData(path=str(path), readable=list(_SUFFIXES))
    return found


def sha256(path: Path) -> str:
    """Of one file's bytes, or of the digests of a folder's files."""
    found = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files(path)]
    return found[0] if len(found) == 1 else hashlib.sha256("\n".join(found).encode()).hexdigest()


def labelled(path: Path, columns: Columns) -> Iterator[Example]:
    """Rows with a label; those without one, or with blanks, null or NaN for one, are passed over. In other columns these are nothing.

    Raises:
        ColumnTwice: before anything is read.
        UnreadableData: a file cannot be read, a column is missing, or a part is none of the four.
    """
    if columns.twice:
        raise ColumnTwice(columns=list(columns.twice))
    for file in files(path):
        for number, row in enumerate(rows(file)):
            missing = [name for name in columns.wanted if name not in row]
            if missing:
                raise UnreadableData(path=str(file), missing=missing, columns=sorted(str(name) for name in row if name is not None))
            if written(row[columns.label]).strip():
                yield _example(row, columns, f"{file.name}:{number}")


def _example(row: Mapping[str, Any], columns: Columns, place: str) -> Example:
    def value(name: str | None) -> str:
        return "" if name is None else written(row[name])

    text, part = value(columns.text), value(columns.part)
    opening = group_of(text) or _content(row)
    if part and part not in _PARTS:
        raise UnreadableData(row=place, part=part, known=list(_PARTS))
    return Example(
        features=Features(text=text, fields={name: value(name) for name in columns.fields}),
        label=value(columns.label).strip(),
        # A value of a group column is a group even where it is empty.
        group=value(columns.group) if columns.group else opening,
        part=part,
        segment=value(columns.segment),
    )


def _content(row: Mapping[str, Any]) -> str:
    """Of all columns, whatever their order: equal rows are one group, so that none is both learnt and judged on."""
    # Surplus cells of a line stand under None.
    found = {str(name): value for name, value in row.items() if name is not None}
    return json.dumps(found, sort_keys=True, default=str)
