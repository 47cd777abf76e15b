"""W3C trace context, carried by hand through HTTP, Kafka records, inbox rows and Celery headers.

Kafka's automatic instrumentation does not cover ``poll()``, and a reaper that re-dispatches a row must keep its trace, so the header is
stored with the row. Format: https://www.w3.org/TR/trace-context/#traceparent-header
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from contextvars import ContextVar

_VALID = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

current: ContextVar[str | None] = ContextVar("traceparent", default=None)
# Where an ASGI scope keeps it, for what runs outside of the middleware that sets `current`.
SCOPE_KEY = "recoup.traceparent"

# Ids that the log line of a batch lists.
_LISTED = 20


def new() -> str:
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def continued(header: str | None) -> str:
    """A child span of ``header``'s trace, or a new trace where it is absent or malformed."""
    if header is None or not _VALID.fullmatch(header):
        return new()
    version, trace_id, _, flags = header.split("-")
    return f"{version}-{trace_id}-{secrets.token_hex(8)}-{flags}"


def is_valid(header: str) -> bool:
    return _VALID.fullmatch(header) is not None


def trace_id(header: str) -> str:
    return header.split("-")[1]


def trace_ids(headers: Iterable[str | None]) -> list[str]:
    """For the log line of a batch: the distinct traces of its members, the first twenty of them."""
    found: dict[str, None] = {}
    for header in headers:
        if header is not None:
            found[trace_id(header)] = None
        if len(found) == _LISTED:
            break
    return list(found)
