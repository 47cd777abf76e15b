"""Reads events in the three ways of the CloudEvents HTTP binding: structured, batched and binary."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from shared.errors import Malformed, Rejected, UnsupportedMedia
from shared.events.attributes import Fault, checked
from shared.events.envelope import Event, is_json
from shared.events.strict_json import MAX_DEPTH, parse_json

__all__ = ["MAX_BATCH", "batch", "binary", "each", "faults_of", "parse_json", "require_utf8", "structured"]

MAX_BATCH: Final = 1000
_PREFIX: Final = "ce-"
_CHARSET: Final = re.compile(r';\s*charset\s*=\s*"?([^";\s]+)', re.IGNORECASE)
_CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


def structured(raw: bytes) -> Event:
    """The event in ``application/cloudevents+json``.

    Raises:
        Malformed: not JSON, or not an event; ``errors`` names each attribute at fault.
        UnsupportedMedia: its ``data_base64`` holds something that is neither JSON nor text.
    """
    # The envelope is one level more: data that came alone, or in a batch, must be readable in it.
    return _of_object(parse_json(raw, max_depth=MAX_DEPTH + 1))


def batch(raw: bytes) -> list[Event]:
    """The events in ``application/cloudevents-batch+json``.

    Raises:
        Malformed: no list, longer than `MAX_BATCH`, or some member is no event; ``errors`` gives their indexes.
    """
    found = each(raw)
    faults = [{"index": i, **fault} for i, member in enumerate(found) if not isinstance(member, Event) for fault in faults_of(member)]
    if faults:
        raise Malformed("Some members of the batch are not valid events; `errors` says which.", errors=faults)
    return [member for member in found if isinstance(member, Event)]


def each(raw: bytes) -> list[Event | Malformed | UnsupportedMedia]:
    """As `batch`, with the error of each bad member in its place, so that a caller can report all of them.

    Raises:
        Malformed: no list, or longer than `MAX_BATCH`.
    """
    members = parse_json(raw, max_depth=MAX_DEPTH + 2)
    if not isinstance(members, list):
        raise Malformed("A batch is a JSON array of events.")
    if len(members) > MAX_BATCH:
        raise Malformed(f"A batch holds at most {MAX_BATCH} events; send several.", limit=MAX_BATCH)
    return [_or_error(member) for member in members]


def binary(headers: Mapping[str, str], raw: bytes) -> Event:
    """The event whose attributes are ``ce-`` headers and whose data are the body.

    Args:
        headers: names in any case; ``items()`` may repeat a name, which is refused.

    Raises:
        Malformed: an attribute or the body is wrong.
        UnsupportedMedia: the body is neither JSON nor text.
    """
    attributes: dict[str, object] = {}
    for name, value in headers.items():
        lowered = name.lower()
        if lowered.startswith(_PREFIX):
            _add_header(attributes, lowered.removeprefix(_PREFIX), value)
    media_type = next((value for name, value in headers.items() if name.lower() == "content-type"), None)
    event = checked({**attributes, "datacontenttype": media_type}, None)
    return _with_data(event, _content(media_type, raw) if raw else None)


def require_utf8(media_type: str) -> None:
    """Raises UnsupportedMedia where a media type names another charset; none means UTF-8."""
    charset = _CHARSET.search(media_type)
    if charset is not None and charset[1].lower() not in _CHARSETS:
        raise UnsupportedMedia("Send text as UTF-8; other charsets are not accepted.")


def faults_of(error: Rejected) -> list[Fault]:
    """What to fix, as a list; the message where an error has no finer one."""
    errors = error.context.get("errors")
    return errors if isinstance(errors, list) else [Fault(field="", problem=error.message)]


def _or_error(member: object) -> Event | Malformed | UnsupportedMedia:
    try:
        return _of_object(member)
    except (Malformed, UnsupportedMedia) as error:
        return error


def _of_object(value: object) -> Event:
    if not isinstance(value, dict):
        raise Malformed("An event is a JSON object; a list of events is sent as application/cloudevents-batch+json.")
    attributes = {name: member for name, member in value.items() if name not in {"data", "data_base64"}}
    event = checked(attributes, value.get("data"))
    encoded = value.get("data_base64")
    if encoded is None:
        _refuse_data_of_another_kind(event)
        return event
    if "data" in value:
        raise Malformed("An event has either data or data_base64, not both.")
    return _with_data(event, _content(attributes.get("datacontenttype"), _decoded(encoded)))


def _refuse_data_of_another_kind(event: Event) -> None:
    if not is_json(event.datacontenttype) and event.data is not None and not isinstance(event.data, str):
        fault = Fault(field="data", problem="must be a string, because datacontenttype is not JSON")
        raise Malformed("The data do not fit their datacontenttype.", errors=[fault])


def _with_data(event: Event, data: object) -> Event:
    return Event(
        event.id, event.source, event.type, event.time, event.subject, data, event.extensions, event.datacontenttype, event.dataschema
    )


def _decoded(encoded: object) -> bytes:
    try:
        return base64.b64decode(encoded if isinstance(encoded, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("data_base64 is not base64.", errors=[Fault(field="data_base64", problem="must be base64")]) from None


def _content(media_type: object, raw: bytes) -> object:
    """Data that came as bytes."""
    if not isinstance(media_type, str):
        raise Malformed("Say what the data are: Content-Type, or datacontenttype beside data_base64.")
    require_utf8(media_type)
    if is_json(media_type):
        return parse_json(raw)
    kind, _, subtype = media_type.partition(";")[0].strip().lower().partition("/")
    if kind == "text" or subtype == "xml" or subtype.endswith("+xml"):
        return _text(raw)
    raise UnsupportedMedia("Send data as JSON, XML or text; binary content is not accepted.")


def _text(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"The data are not UTF-8 (at byte {error.start}); send them as UTF-8.") from None
    if "\0" in text:
        raise Malformed("The data contain the character NUL; remove it.")
    return text


def _add_header(attributes: dict[str, object], name: str, value: str) -> None:
    if name in attributes:
        raise Malformed("An attribute is sent twice.", errors=[Fault(field=name[:64], problem="is sent in two headers; keep one")])
    if name in {"datacontenttype", "data"}:
        raise Malformed("Data and their type are no ce- headers.", errors=[Fault(field=name, problem="use the body and Content-Type")])
    attributes[name] = _header_value(name, value)


def _header_value(name: str, value: str) -> str:
    """Unquotes once, then percent-decodes once (HTTP binding 3.1.3.2)."""
    text = value.strip(" \t")
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    try:
        return unquote_to_bytes(text.encode("ascii")).decode()
    except UnicodeError:
        fault = Fault(field=name[:64], problem="must be percent-encoded UTF-8 in a header")
        raise Malformed("A header cannot be read.", errors=[fault]) from None
