"""Which headers of a record that could not be read are kept beside its bytes, and how they lie in the table: bounded, ours first."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Final, TypedDict

from shared.eventlog.kafka_record import BODY_SHA256, RECEIVED_AT, SCHEMA_HEADER, TENANT, TRACEPARENT

Headers = Sequence[tuple[str, bytes | None]]

# Far more than any producer of ours sends; a record may hold 1 MiB of them.
MOST_HEADERS: Final = 32
MOST_BYTES: Final = 8192
_OURS: Final = (TENANT, BODY_SHA256, RECEIVED_AT, TRACEPARENT, SCHEMA_HEADER)


class KeptHeader(TypedDict):
    name: str
    # Null where the header has no value.
    value_base64: str | None


def kept(headers: Headers) -> list[KeptHeader]:
    """As `came_with`, as they lie in the table."""
    return [_written(name, value) for name, value in came_with(headers)]


def came_with(headers: Headers) -> list[tuple[str, bytes | None]]:
    """In their order; of ours the first of each name, which alone counts, and of the others as many as the bounds leave room for."""
    chosen: list[int] = []
    size = 0
    for place in _by_importance(headers):
        name, value = headers[place]
        size_with = size + len(name.encode()) + len(value or b"")
        # PostgreSQL's JSON has no NUL.
        if size_with <= MOST_BYTES and len(chosen) < MOST_HEADERS and "\0" not in name:
            chosen.append(place)
            size = size_with
    return [headers[place] for place in sorted(chosen)]


def replayed(stored: Sequence[KeptHeader], tenant: str) -> list[tuple[str, bytes | None]]:
    """As if the record arrived now, as the tenant's."""
    own = {TENANT, RECEIVED_AT}
    return [(TENANT, tenant.encode()), *((header["name"], _value(header)) for header in stored if header["name"] not in own)]


def _by_importance(headers: Headers) -> Iterator[int]:
    firsts: dict[str, int] = {}
    for place, (name, _) in enumerate(headers):
        firsts.setdefault(name, place)
    yield from (firsts[name] for name in _OURS if name in firsts)
    yield from (place for place, (name, _) in enumerate(headers) if name not in _OURS)


def _written(name: str, value: bytes | None) -> KeptHeader:
    return KeptHeader(name=name, value_base64=None if value is None else base64.b64encode(value).decode())


def _value(header: KeptHeader) -> bytes | None:
    return None if header["value_base64"] is None else base64.b64decode(header["value_base64"])
