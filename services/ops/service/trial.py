"""What the gateway would make of a payload: the same parser, mapping and admission, and nothing stored."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import orjson

from services.ops.schemas.integration import FieldError, Source, TrialResult
from shared.errors import Rejected
from shared.events.admission import admit, refuse_ahead
from shared.events.mapping import compiled, source_uri
from shared.events.strict_json import MAX_DEPTH, parse_json


def run(source: Source, body: bytes, now: datetime, time_ahead: timedelta) -> TrialResult:
    """A payload that does not fit is an answer, not an error.

    Args:
        body: a `Trial` as it was sent: what another parser has read hides what the gateway refuses (NaN, 65 bits, half a character, a key
            twice).
    """
    event: object = None
    try:
        mapping = compiled(None if source.mapping is None else source.mapping.model_dump())
        # The trial is one level more than the payload.
        strict = cast("dict[str, object]", parse_json(body, max_depth=MAX_DEPTH + 1))["payload"]
        mapped = mapping.event(strict, message_id=f"try-{uuid4()}", source=source_uri(source.name), event_type=source.event_type)
        event = orjson.loads(mapped.canonical())
        refuse_ahead(mapped, admit(mapped)[0], now, time_ahead)
    except Rejected as refusal:
        return TrialResult(accepted=False, event=event, errors=_errors(refusal))
    return TrialResult(accepted=True, event=event, errors=[])


def _errors(refusal: Rejected) -> list[FieldError]:
    errors = cast("list[dict[str, Any]]", refusal.context.get("errors") or [])
    return [FieldError(field=str(e["field"]), problem=str(e["problem"])) for e in errors] or [FieldError(field="", problem=refusal.message)]
