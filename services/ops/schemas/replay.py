"""Doing it again: cases, deliveries, dead letters."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from services.ops.schemas.base import Identified, Input, Instant, Line, Output, Prose


class CaseReplayed(Output):
    case_id: UUID
    state: Literal["pending"] = "pending"


class BulkReplay(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"automation": "claims", "state": "quarantined", "limit": 500}]})

    automation: Line
    state: Literal["quarantined"] = "quarantined"
    limit: int = Field(default=1000, ge=1, le=10_000)


class DeliverySummary(Identified):
    case_id: UUID | None = Field(description="Null where the message is about no single case, as `savings.recorded`.")
    endpoint_id: UUID
    automation: str
    state: Literal["pending", "sending", "delivered", "dead"]
    attempt: int
    next_attempt_at: datetime
    last_status: int | None
    last_error: str | None
    delivered_at: datetime | None
    created_at: datetime


class BulkRedelivery(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"state": "dead", "created_from": "2026-11-01T00:00:00Z", "created_until": "2026-11-02T00:00:00Z"}]}
    )

    state: Literal["dead", "delivered"] = "dead"
    endpoint_id: UUID | None = None
    created_from: Instant
    created_until: Instant
    limit: int = Field(default=1000, ge=1, le=10_000)


class DeadLetter(Identified):
    """``kind`` says what it is: a ``poison`` record that could not be read, or a ``case`` that failed too often."""

    kind: Literal["poison", "case"]
    automation: str | None
    error: str | None
    received_at: datetime
    resolved_at: datetime | None


class RecordHeader(Output):
    name: str
    value_base64: str | None = Field(examples=["YWNtZQ=="])


class DeadLetterDetail(DeadLetter):
    raw_base64: str | None = Field(description="The bytes as they came; null where retention removed them.", examples=["eyJpZCI6"])
    headers: list[RecordHeader] = Field(description="Of the Kafka record: at most 32 and 8 KiB are kept; none of a case.")
    place: str = Field(description="Where it was read: topic, partition and offset, or source and event id.")


class DeadLetterResolution(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"note": "Sender fixed its encoding; the events were sent again."}]})

    note: Prose
