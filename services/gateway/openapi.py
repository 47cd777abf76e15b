"""What FastAPI cannot know of requests that we read ourselves: bodies, headers and examples for each way in."""

from __future__ import annotations

from typing import Any, Final

from services.gateway.media import BATCH, STRUCTURED
from shared.web.problem import MEDIA_TYPE, PROBLEMS

DESCRIPTION: Final = """
Business systems send facts here, as [CloudEvents 1.0](https://cloudevents.io) or as webhooks signed after
[Standard Webhooks](https://www.standardwebhooks.com). An event is answered with 202 only after it is stored durably. Sending it again is
always safe: source and id identify it, and the same event is decided once. Start with `docs/connect.md`.
"""

_CLAIM: Final = {
    "policy_number": "KFZ-2291-88",
    "policy_start": "2026-01-01",
    "policy_end": "2026-12-31",
    "line": "motor",
    "cause": "glass",
    "loss_date": "2026-11-20",
    "reported_date": "2026-11-21",
    "amount_claimed": "412.90",
    "currency": "EUR",
    "deductible": "150.00",
    "sum_insured": "25000.00",
    "description": "Stone chip on the A7, windscreen cracked.",
}
_ATTRIBUTES: Final = {
    "id": "FNOL-2026-004711",
    "source": "/erp/claims",
    "type": "com.recoup.claim.filed.v1",
    "time": "2026-11-21T08:30:00Z",
}
EVENT: Final = {"specversion": "1.0", **_ATTRIBUTES, "data": _CLAIM}
_SECOND: Final = {**EVENT, "id": "FNOL-2026-004712", "data": {**_CLAIM, "policy_number": "KFZ-1045-12"}}

_EVENT_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["specversion", "id", "source", "type", "data"],
    "properties": {
        "specversion": {"type": "string", "enum": ["1.0"]},
        "id": {"type": "string", "minLength": 1, "maxLength": 256, "description": "Unique within `source`."},
        "source": {"type": "string", "format": "uri-reference", "minLength": 1, "maxLength": 1024},
        "type": {"type": "string", "minLength": 1, "maxLength": 256, "description": "One of `GET /v1/event-types`."},
        "time": {"type": "string", "format": "date-time", "description": "When it happened; without it, when it was received."},
        "subject": {"type": "string", "minLength": 1, "maxLength": 1024},
        "datacontenttype": {"type": "string", "examples": ["application/json"]},
        "data": {"description": "As the schema of the event's type says; see `GET /v1/event-types`."},
    },
    "additionalProperties": {"type": ["string", "boolean", "integer"]},
}


def _header(name: str, description: str, example: str, *, required: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": {"type": "string"},
        "example": example,
    }


EVENTS: Final[dict[str, Any]] = {
    "parameters": [
        _header("ce-specversion", "Binary mode only.", "1.0"),
        *(_header(f"ce-{name}", "Binary mode only.", value) for name, value in _ATTRIBUTES.items()),
    ],
    "requestBody": {
        "required": True,
        "content": {
            STRUCTURED: {"schema": _EVENT_SCHEMA, "examples": {"claim": {"summary": "One event", "value": EVENT}}},
            BATCH: {
                "schema": {"type": "array", "maxItems": 1000, "items": _EVENT_SCHEMA},
                "examples": {"claims": {"summary": "Two events", "value": [EVENT, _SECOND]}},
            },
            "application/json": {
                "schema": {"description": "The event's `data`; its attributes are `ce-` headers."},
                "examples": {"claim": {"summary": "Binary mode", "value": _CLAIM}},
            },
        },
    },
}

WEBHOOK: Final[dict[str, Any]] = {
    "parameters": [
        _header("webhook-id", "Unique for each message, the same for each attempt.", "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", required=True),
        _header("webhook-timestamp", "Seconds since 1970 of this attempt; within 300 s of now.", "1795509000", required=True),
        _header(
            "webhook-signature",
            "`v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`; several are separated by spaces.",
            "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
            required=True,
        ),
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"description": "Whatever your system sends; the source's mapping finds the event in it."},
                "examples": {
                    "wrapped": {"summary": "With the mapping data=claim, id=claim_no", "value": {"claim_no": "4711", "claim": _CLAIM}}
                },
            }
        },
    },
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Those of the usual errors that a route can answer with."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    gone = {"description": "The source was disabled.", "content": content}
    slow = {"description": "The body did not arrive in time; `Retry-After` says when to come back.", "content": content}
    return {status: {**PROBLEMS, 408: slow, 410: gone}[status] for status in statuses}
