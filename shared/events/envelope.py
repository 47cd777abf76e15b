"""One CloudEvents 1.0 event, and the one way in which it is written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

import orjson

JSON_TYPE: Final = "application/json"
# Where a request has travelled is not part of the fact: a resend over another way is still the same event.
TRACING: Final = frozenset({"traceparent", "tracestate"})


@dataclass(frozen=True, slots=True)
class Event:
    """A CloudEvent whose attributes have been checked.

    Attributes:
        id: unique within ``source``.
        time: aware, any offset; None where the sender did not say.
        data: the JSON value; a string where ``datacontenttype`` is text or XML; None where absent.
        extensions: further attributes by name.
        datacontenttype: as sent, with parameters.
    """

    id: str
    source: str
    type: str
    time: datetime | None = None
    subject: str | None = None
    data: object = None
    extensions: Mapping[str, str | int | bool] = field(default_factory=lambda: MappingProxyType({}))
    datacontenttype: str = JSON_TYPE
    dataschema: str | None = None

    def canonical(self) -> bytes:
        """CloudEvents JSON with sorted keys and no spaces: equal events give equal bytes, and `structured` reads them back.

        Times are UTC, JSON media types lose their parameters, and tracing extensions are left out.
        """
        members: dict[str, object] = {name: value for name, value in self.extensions.items() if name not in TRACING}
        members |= {"specversion": "1.0", "id": self.id, "source": self.source, "type": self.type}
        members |= {"datacontenttype": normal_media_type(self.datacontenttype), "data": self.data}
        if self.time is not None:
            members["time"] = self.time.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if self.subject is not None:
            members["subject"] = self.subject
        if self.dataschema is not None:
            members["dataschema"] = self.dataschema
        return orjson.dumps(members, option=orjson.OPT_SORT_KEYS)


def is_json(media_type: str) -> bool:
    """True for ``*/json`` and ``*/*+json``, whatever the parameters."""
    subtype = media_type.partition(";")[0].strip().lower().partition("/")[2]
    return subtype == "json" or subtype.endswith("+json")


def normal_media_type(media_type: str) -> str:
    """JSON has no charset parameter that could mean anything (RFC 8259 section 11); other types stay as they are."""
    return media_type.partition(";")[0].strip().lower() if is_json(media_type) else media_type
