"""Which of the three ways of sending events a request uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.errors import Malformed, UnsupportedMedia
from shared.events.envelope import Event
from shared.events.parse import binary, each, require_utf8, structured

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"

Batch = list[Event | Malformed | UnsupportedMedia]


def read(headers: Mapping[str, str], raw: bytes) -> Event | Batch:
    """One event, or the members of a batch.

    Args:
        headers: any case; ``items()`` may repeat a name.

    Raises:
        UnsupportedMedia: no CloudEvents content type and no ``ce-`` header.
        Malformed: the body is not what its type says.
    """
    content_type = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in {STRUCTURED, BATCH}:
        require_utf8(content_type)
        return structured(raw) if media_type == STRUCTURED else each(raw)
    is_binary = any(name.lower().startswith("ce-") for name in headers)
    if not is_binary or media_type.startswith("application/cloudevents"):
        raise UnsupportedMedia(f"Send {STRUCTURED}, {BATCH}, or JSON with ce- headers.")
    return binary(headers, raw)
