"""A decision for tests below the worker."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from shared.casework.values import Decided
from tests.intake_data import NOON

CASE_ID = UUID("01990000-0000-7000-8000-000000000001")


def decided(**changes: Any) -> Decided:
    values: dict[str, Any] = {
        "case_id": CASE_ID,
        "tenant_id": "acme",
        "automation": "claims",
        "arm": "automated",
        "stratum": "all",
        "source": "/erp",
        "event_id": "e-1",
        "event_type": "com.recoup.claim.filed.v1",
        "occurred_at": NOON,
        "received_at": NOON,
        "traceparent": None,
        "outcome": "adjuster",
        "adverse": False,
        "confidence": 0.75,
        "reasons": ("injury",),
        "attributes": {"desk": "motor"},
        "tier": "rules",
        "model_version": None,
        "decided_by": "model",
        "decided_at": NOON,
    }
    return Decided(**(values | changes))
