"""Reads logs of manual handling, CSV and XES: moments and segments of work, each with the line that it stands in."""

from __future__ import annotations

import codecs
import csv
import gzip
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import IO, Final, NamedTuple, cast

from lxml import etree

from shared.errors import Rejected
from shared.measure.handling import Moment, Segment, transition
from shared.measure.savings import EVERY_OTHER

_GZIP: Final = b"\x1f\x8b"


class UnreadableLog(Rejected):
    """This log cannot be read."""

    code = "unreadable_log"


class Work(NamedTuple):
    """A segment of a case as a line of the file says it."""

    line: int
    case: str
    stratum: str
    segment: Segment


class Trace(NamedTuple):
    """Everything that a log says about one case, as moments that are yet to be paired."""

    line: int
    case: str
    stratum: str
    moments: list[Moment]


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a CSV file says what.

    Attributes:
        start, end: of a segment; in a log of moments ``start`` holds the moment, and ``lifecycle`` what it is.
        stratum: None where all cases are of one kind.
        lifecycle: None where each line is a whole segment.
    """

    case: str
    start: str
    end: str
    activity: str
    stratum: str | None = None
    lifecycle: str | None = None

    def needed(self) -> list[str]:
        if self.lifecycle is None:
            return [name for name in (self.case, self.start, self.end, self.stratum) if name is not None]
        return [name for name in (self.case, self.start, self.activity, self.lifecycle, self.stratum) if name is not None]


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The content, unpacked where it is packed, and the file itself, whose position shows how far the reader is."""
    with path.open("rb") as raw:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        try:
            yield (cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if packed else raw), raw
        except (EOFError, gzip.BadGzipFile) as error:
            raise UnreadableLog(f"it is cut off or damaged: {error}") from error


def csv_segments(content: IO[bytes], columns: Columns, zone: tzinfo) -> Iterator[Work]:
    """Segments of a CSV file in which each line has a start and an end.

    Raises:
        UnreadableLog: names the line.
    """
    for line, row in _rows(content, columns):
        start, end = (_moment(row[name], zone, f"line {line}: {name}") for name in (columns.start, columns.end))
        yield Work(line, _filled(row, columns.case, line), _stratum(row, columns), Segment(start, end))


def csv_traces(content: IO[bytes], columns: Columns, zone: tzinfo) -> Iterator[Trace]:
    """Cases of a CSV file in which each line is one moment; held in memory, because a case's lines may stand anywhere.

    Raises:
        UnreadableLog: names the line.
    """
    assert columns.lifecycle is not None
    traces: dict[str, Trace] = {}
    for line, row in _rows(content, columns):
        case = _filled(row, columns.case, line)
        trace = traces.setdefault(case, Trace(line, case, _stratum(row, columns), []))
        what = transition(_filled(row, columns.lifecycle, line))
        if what is not None:
            at = _moment(row[columns.start], zone, f"line {line}: {columns.start}")
            trace.moments.append(Moment(_filled(row, columns.activity, line), what, at))
    yield from traces.values()


def xes_traces(content: IO[bytes], stratum: str | None, zone: tzinfo) -> Iterator[Trace]:
    """Cases of an XES file (IEEE 1849), one at a time: memory holds one trace.

    Entities are not resolved, and nothing is fetched: a log comes from outside.

    Args:
        stratum: attribute of the trace that names the stratum; None where all cases are of one kind.

    Raises:
        UnreadableLog: names the line.
    """
    parser = etree.iterparse(
        content, events=("end",), tag=("{*}trace", "trace"), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        for _, element in parser:
            yield _trace(element, stratum, zone)
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]
    except etree.XMLSyntaxError as error:
        raise UnreadableLog(f"line {error.lineno or 1}: this is no XML: {error.msg}") from error


def _trace(element: etree._Element, stratum: str | None, zone: tzinfo) -> Trace:
    line = _line(element)
    attributes = _attributes(element)
    if not attributes.get("concept:name"):
        raise UnreadableLog(f"line {line}: this trace has no concept:name, so nobody knows which case it is")
    name = EVERY_OTHER if stratum is None else attributes.get(stratum) or EVERY_OTHER
    events = [child for child in element if _local(child) == "event"]
    return Trace(line, attributes["concept:name"], name, [found for event in events for found in _moments(event, zone)])


def _moments(event: etree._Element, zone: tzinfo) -> Iterator[Moment]:
    attributes = _attributes(event)
    what = transition(attributes.get("lifecycle:transition", ""))
    if what is None:
        return
    line = _line(event)
    if "time:timestamp" not in attributes or "concept:name" not in attributes:
        raise UnreadableLog(f"line {line}: this event has no time:timestamp or no concept:name")
    # An instance tells apart what several people do at once; a log without one names the activity only.
    work = f"{attributes['concept:name']}\0{attributes.get('concept:instance', '')}"
    yield Moment(work, what, _moment(attributes["time:timestamp"], zone, f"line {line}: time:timestamp"))


def _attributes(element: etree._Element) -> dict[str, str]:
    return {str(child.get("key")): str(child.get("value")) for child in element if child.get("key") and child.get("value") is not None}


def _line(element: etree._Element) -> int:
    # The stubs do not say what it is.
    return cast("int", element.sourceline)


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def _rows(content: IO[bytes], columns: Columns) -> Iterator[tuple[int, Mapping[str, str]]]:
    reader = csv.DictReader(codecs.iterdecode(content, "utf-8-sig"), strict=True)
    try:
        missing = [name for name in columns.needed() if name not in (reader.fieldnames or [])]
        if missing:
            there = ", ".join(reader.fieldnames or ["none"])
            raise UnreadableLog(f"line 1: no column {', '.join(missing)}; there are: {there}. Options such as --case-column name them")
        for row in reader:
            # Too few fields leave None, too many a list under None: csv itself counts neither an error.
            if None in row or None in row.values():
                raise UnreadableLog(f"line {reader.line_num}: not as many fields as the first line has columns")
            yield reader.line_num, row
    except (csv.Error, UnicodeDecodeError) as error:
        raise UnreadableLog(f"line {reader.line_num}: this is no CSV in UTF-8: {error}") from error


def _filled(row: Mapping[str, str], name: str, line: int) -> str:
    value = row[name].strip()
    if not value:
        raise UnreadableLog(f"line {line}: {name} is empty")
    return value


def _stratum(row: Mapping[str, str], columns: Columns) -> str:
    return EVERY_OTHER if columns.stratum is None else row[columns.stratum].strip() or EVERY_OTHER


def _moment(text: str, zone: tzinfo, place: str) -> datetime:
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise UnreadableLog(f"{place} is {text!r}, not a date and time of ISO 8601") from error
    return (at if at.tzinfo is not None else at.replace(tzinfo=zone)).astimezone(UTC)
