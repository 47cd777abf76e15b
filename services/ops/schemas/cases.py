"""A case and everything that happened to it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from services.ops.schemas.base import Identified, Instant, Line, Output, Reference
from services.ops.schemas.reviews import Kind
from shared.web.decimals import Plain

State = Literal["pending", "processing", "review", "decided", "quarantined"]
Arm = Literal["automated", "control"]


class Search(Output):
    """Filters of a search; None does not filter."""

    automation: Line | None = None
    state: State | None = None
    arm: Arm | None = None
    source: Reference | None = None
    event_id: Reference | None = None
    outcome: Line | None = None
    received_from: Instant | None = None
    received_until: Instant | None = None


class CaseSummary(Identified):
    """One line of a search. ``outcome`` is null until decided, and while a person checks the decision without seeing it."""

    automation: str = Field(examples=["claims"])
    source: str
    event_id: str
    event_type: str
    arm: Arm
    state: State
    stratum: str | None
    attempt: int
    outcome: str | None
    tier: str | None
    occurred_at: datetime
    received_at: datetime
    decided_at: datetime | None


class Inference(Output):
    """What one tier said."""

    attempt: int
    position: int
    tier: str
    model_version: str | None
    outcome: str | None
    label: str | None
    score: float | None
    detail: Any
    cpu_ns: int
    wall_ns: int
    created_at: datetime


class Decision(Output):
    outcome: str
    adverse: bool
    confidence: float | None
    reasons: list[str]
    attributes: dict[str, str]
    tier: str
    model_version: str | None
    decided_by: str
    decided_at: datetime


class CaseCorrection(Identified):
    """What rework found wrong. The decision stays as it was; the newest correction holds."""

    review_id: UUID
    previous_outcome: str
    outcome: str
    adverse: bool
    reasons: list[str]
    attributes: dict[str, str]
    corrected_by: str
    corrected_at: datetime


class TraceReview(Identified):
    kind: Kind
    round: int
    state: Literal["open", "claimed", "submitted", "cancelled"]
    reasons: list[str]
    proposal: Any = None
    created_at: datetime
    claimed_by: str | None
    submitted_by: str | None
    submitted_at: datetime | None
    outcome: str | None
    active_seconds: float
    span_seconds: float | None
    booked_seconds: float | None


class TraceLine(Identified):
    """A ledger line of this case."""

    kind: str
    quantity: Plain | None
    unit: str | None
    amount: Plain | None
    currency: str | None
    grade: str
    occurred_at: datetime
    booked_at: datetime
    reverses: UUID | None


class TraceDelivery(Identified):
    endpoint_id: UUID
    url: str | None
    state: Literal["pending", "sending", "delivered", "dead"]
    attempt: int
    next_attempt_at: datetime
    last_status: int | None
    last_error: str | None
    delivered_at: datetime | None


class Trace(CaseSummary):
    """A case with its whole trace.

    While ``blinded`` is true a person judges this case without seeing what the machine proposes: inferences, decision, ledger lines and
    proposals are withheld until the review is submitted.
    """

    control_probability: float
    traceparent: str | None
    dispatches: int
    lease_until: datetime | None
    next_dispatch_at: datetime
    last_error: str | None
    blinded: bool
    event: Any = Field(description="The CloudEvents envelope with its data; null where the payload was removed by retention.")
    inferences: list[Inference]
    decision: Decision | None
    corrections: list[CaseCorrection]
    reviews: list[TraceReview]
    ledger: list[TraceLine]
    deliveries: list[TraceDelivery]
