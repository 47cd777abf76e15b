"""The body of the callback that tells a business system about a decision: CloudEvents 1.0 in structured JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from shared.casework.values import HUMAN, Correction, Decided

EVENT_TYPE: Final = "com.recoup.decision.made.v1"
CORRECTED_TYPE: Final = "com.recoup.decision.corrected.v1"
# Standard Webhooks recommends at most 20 kB.
LIMIT: Final = 20_000
# JSON writes some characters with six bytes.
_LONGEST: Final = 60
_MOST: Final = 16


def body(decided: Decided) -> bytes:
    """Fewer than 20,000 bytes: over-long reasons and attributes are cut, which no automation of ours needs.

    The event's ``id`` is the case id: there is one decision per case, so receivers may drop a second one.
    """
    return _limited(decided, {"id": decided.case_id, "type": EVENT_TYPE}, {})


def correction_body(correction: Correction) -> bytes:
    """As `body`, of what holds from now on; the event's ``id`` is the correction's."""
    return _limited(correction.decided, {"id": correction.id, "type": CORRECTED_TYPE}, {"previous_outcome": correction.previous_outcome})


def _limited(decided: Decided, identity: Mapping[str, object], more: Mapping[str, object]) -> bytes:
    whole = _render(decided, identity, {**_data(decided, decided.reasons, decided.attributes), **more})
    if len(whole) < LIMIT:
        return whole
    reasons = tuple(reason[:_LONGEST] for reason in decided.reasons[:_MOST])
    attributes = {name[:_LONGEST]: value[:_LONGEST] for name, value in list(decided.attributes.items())[:_MOST]}
    return _render(decided, identity, {**_data(decided, reasons, attributes), **more})


def _render(decided: Decided, identity: Mapping[str, object], data: Mapping[str, object]) -> bytes:
    return orjson.dumps(
        {
            "specversion": "1.0",
            **identity,
            "source": f"/recoup/{decided.automation}",
            "time": decided.decided_at,
            "subject": decided.event_id,
            "datacontenttype": "application/json",
            "data": data,
        },
        option=orjson.OPT_UTC_Z,
    )


def _data(decided: Decided, reasons: Sequence[str], attributes: Mapping[str, str]) -> dict[str, object]:
    return {
        "case_id": decided.case_id,
        "event": {"id": decided.event_id, "source": decided.source, "type": decided.event_type},
        "automation": decided.automation,
        "outcome": decided.outcome,
        "adverse": decided.adverse,
        "confidence": decided.confidence,
        "reasons": reasons,
        # A plain dict: the values may be read-only views, which orjson does not know.
        "attributes": dict(attributes),
        "tier": decided.tier,
        "model_version": decided.model_version,
        "decided_by": "person" if decided.tier == HUMAN else "model",
        "decided_at": decided.decided_at,
    }
