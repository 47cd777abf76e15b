"""Checks CloudEvents context attributes, however they were transported."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, TypedDict

from shared.errors import Malformed
from shared.events.envelope import JSON_TYPE, Event

# In bytes of UTF-8. Identity is indexed, and an index entry must fit a third of a page.
LONGEST: Final = {"id": 256, "source": 1024, "type": 256, "subject": 1024, "datacontenttype": 256, "dataschema": 1024}
_LONGEST_EXTENSION: Final = 4096
_INT32: Final = range(-(2**31), 2**31)

_NONCHARACTERS: Final = "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
_DISALLOWED: Final = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef{_NONCHARACTERS}]")
_EXTENSION_NAME: Final = re.compile(r"[a-z0-9]{1,64}")
_URI_REFERENCE: Final = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:" + _URI_REFERENCE.pattern)
_WORD: Final = r"[A-Za-z0-9!#$&^_.+-]+"
_MEDIA_TYPE: Final = re.compile(rf"{_WORD}/{_WORD}(?:\s*;\s*{_WORD}=(?:{_WORD}|\"[^\"\\]*\"))*\s*")
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,30})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)

Value = str | int | bool


class Fault(TypedDict):
    """One thing to fix; ``problem`` never repeats a value."""

    field: str
    problem: str


def checked(attributes: Mapping[str, object], data: object) -> Event:
    """An `Event` of attributes by their CloudEvents names; None means unset.

    Raises:
        Malformed: its ``errors`` name every attribute that is missing or wrong.
    """
    present = {name: value for name, value in attributes.items() if value is not None}
    faults: list[Fault] = []
    if present.pop("specversion", None) != "1.0":
        faults.append(Fault(field="specversion", problem='must be "1.0"'))
    core = {name: _core(name, present.pop(name, None), faults) for name in _CHECKS}
    time = _time(present.pop("time", None), faults)
    extensions = {name: _extension(name, value, faults) for name, value in present.items()}
    if faults:
        raise Malformed("This is not a valid CloudEvents 1.0 event; `errors` says what to fix.", errors=faults)
    return Event(
        id=core["id"] or "",
        source=core["source"] or "",
        type=core["type"] or "",
        time=time,
        subject=core["subject"],
        data=data,
        extensions=extensions,
        datacontenttype=core["datacontenttype"] or JSON_TYPE,
        dataschema=core["dataschema"],
    )


def timestamp(text: str) -> datetime:
    """An RFC 3339 time, aware.

    Raises:
        ValueError: not one, or outside the years 1 to 9999 in UTC. Leap seconds do not exist in our calendar.
    """
    if not _RFC3339.fullmatch(text):
        raise ValueError("must be an RFC 3339 time such as 2026-11-23T08:30:00Z")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is no moment between the years 1 and 9999 (seconds end at 59)") from None


def _anything(_text: str) -> str | None:
    return None


def _uri_reference(text: str) -> str | None:
    return None if _URI_REFERENCE.fullmatch(text) else "must be a URI reference; percent-encode other characters"


def _uri(text: str) -> str | None:
    return None if _URI.fullmatch(text) else "must be an absolute URI"


def _media_type(text: str) -> str | None:
    return None if _MEDIA_TYPE.fullmatch(text) else "must be a media type such as application/json"


# Each says what is wrong, or None.
_CHECKS: Final[Mapping[str, Callable[[str], str | None]]] = {
    "id": _anything,
    "source": _uri_reference,
    "type": _anything,
    "subject": _anything,
    "datacontenttype": _media_type,
    "dataschema": _uri,
}
_REQUIRED: Final = frozenset({"id", "source", "type"})


def _core(name: str, value: object, faults: list[Fault]) -> str | None:
    if value is None:
        if name in _REQUIRED:
            faults.append(Fault(field=name, problem="is missing"))
        return None
    problem = _string_problem(value, LONGEST[name]) or _CHECKS[name](str(value))
    if problem is not None:
        faults.append(Fault(field=name, problem=problem))
    return str(value)


def _string_problem(value: object, longest: int) -> str | None:
    if not isinstance(value, str):
        return "must be a string"
    if not value:
        return "must not be empty"
    if _DISALLOWED.search(value):
        return "contains a control character or another one that CloudEvents disallows; remove it"
    if len(value.encode()) > longest:
        return f"is longer than {longest} bytes"
    return None


def _time(value: object, faults: list[Fault]) -> datetime | None:
    if value is None:
        return None
    try:
        return timestamp(value if isinstance(value, str) else "")
    except ValueError as error:
        faults.append(Fault(field="time", problem=str(error)))
        return None


def _extension(name: str, value: object, faults: list[Fault]) -> Value:
    problem = _extension_problem(name, value)
    if problem is not None:
        faults.append(Fault(field=name[:64], problem=problem))
    return value if isinstance(value, bool | int) else str(value)


def _extension_problem(name: str, value: object) -> str | None:
    if not _EXTENSION_NAME.fullmatch(name):
        return "is no attribute name: only lower-case letters and digits; other facts belong into data"
    if isinstance(value, int):
        return None if value in _INT32 else "must fit 32 bits"
    if not isinstance(value, str):
        return "must be a string, a boolean or an integer"
    return _string_problem(value, _LONGEST_EXTENSION) if value else None
