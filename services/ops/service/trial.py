"""What the gateway would make of a payload: the same mapping and the same admission, and nothing stored."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import orjson

from services.ops.schemas.integration import FieldError, Source, TrialResult
from shared.errors import Malformed, Rejected
from shared.events.admission import admit, refuse_ahead
from shared.events.mapping import compiled, source_uri
from shared.events.parse import parse_json


def run(source: Source, payload: object, now: datetime, time_ahead: timedelta) -> TrialResult:
    """A payload that does not fit is an answer, not an error."""
    event: object = None
    try:
        mapping = compiled(None if source.mapping is None else source.mapping.model_dump())
        strict = parse_json(_bytes(payload))
        mapped = mapping.event(strict, message_id=f"try-{uuid4()}", source=source_uri(source.name), event_type=source.event_type)
        event = orjson.loads(mapped.canonical())
        refuse_ahead(mapped, admit(mapped)[0], now, time_ahead)
    except Rejected as refusal:
        return TrialResult(accepted=False, event=event, errors=_errors(refusal))
    return TrialResult(accepted=True, event=event, errors=[])


def _bytes(payload: object) -> bytes:
    """With what JSON allows and we do not (NaN, 65 bits, half a character), so that the gateway's own parser says so."""
    try:
        return json.dumps(payload).encode()
    except RecursionError:
        raise Malformed("The payload is nested too deep; flatten it.") from None


def _errors(refusal: Rejected) -> list[FieldError]:
    errors = cast("list[dict[str, Any]]", refusal.context.get("errors") or [])
    return [FieldError(field=str(e["field"]), problem=str(e["problem"])) for e in errors] or [FieldError(field="", problem=refusal.message)]
