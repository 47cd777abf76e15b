"""Work of people: the queue, a claim, its heartbeats, the submitted answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from services.ops.schemas.base import Identified, Input, Line, Output, Seconds
from shared.web.decimals import Plain

Kind = Literal["control", "exception", "audit", "rework"]
State = Literal["open", "claimed", "submitted", "cancelled"]


class ReviewSummary(Identified):
    """One line of the queue."""

    case_id: UUID
    automation: str = Field(examples=["claims"])
    kind: Kind
    round: int
    state: State
    created_at: datetime
    received_at: datetime
    claimed_by: str | None
    claim_expires_at: datetime | None


class ReviewDetail(ReviewSummary):
    """What a person needs to decide.

    ``reasons`` and ``proposal`` are empty for control and audit reviews: their worth is that nobody was influenced. For rework,
    ``proposal`` is what holds now, and ``reasons`` say why the case was reopened. ``outcomes`` are the answers that may be submitted.
    ``active_seconds`` is where the console's stopwatch goes on, ``next_sequence`` its next heartbeat.
    """

    claimed_at: datetime | None
    active_seconds: float
    next_sequence: int
    reasons: list[str]
    proposal: Any = None
    outcomes: list[str]
    event: Any = Field(description="The CloudEvents envelope with its data; null where the payload was removed by retention.")


class ReviewClaim(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reviewer": "m.weber"}]})

    reviewer: Line | None = Field(default=None, description="Who works; the name of the API key where it is left out.")
    claim_seconds: int | None = Field(default=None, ge=10, le=3600, description="How long the claim holds without a heartbeat.")


class ReviewClaimNext(ReviewClaim):
    model_config = ConfigDict(json_schema_extra={"examples": [{"automation": "claims", "limit": 5, "reviewer": "m.weber"}]})

    automation: Line | None = None
    kind: Kind | None = None
    limit: int = Field(default=1, ge=1, le=50)


class CaseReopening(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "The customer sent the police report after all."}]})

    reason: Line = Field(description="Shown to whoever does the rework.")


class ReviewRelease(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reviewer": "m.weber"}]})

    reviewer: Line | None = None


class ReviewHeartbeat(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"active_seconds": 41.2, "sequence": 3, "reviewer": "m.weber"}]})

    active_seconds: Seconds = Field(description="Seconds of work since the claim, cumulative, by the reviewer's own clock.")
    sequence: int = Field(ge=0, le=2_147_483_647, description="Counts up; a heartbeat that comes twice counts once.")
    reviewer: Line | None = None


class ReviewHeartbeatAnswer(Output):
    claim_expires_at: datetime
    active_seconds: float


class ReviewSubmission(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"outcome": "adjuster", "reasons": ["police_report_missing"], "active_seconds": 74.5, "reviewer": "m.weber"}]
        }
    )

    outcome: Line
    reasons: tuple[Line, ...] = Field(default=(), max_length=20)
    attributes: dict[Line, Line] = Field(default_factory=dict, max_length=20)
    active_seconds: Seconds = Field(description="Seconds of work since the claim, by the reviewer's own clock.")
    sequence: int | None = Field(
        default=None, ge=0, le=2_147_483_647, description="The next heartbeat's, where some were made; tells apart lost ones and none."
    )
    reviewer: Line | None = None


class ReviewSubmitted(Output):
    """``span_seconds`` is the server's clock from claim to submit; the smaller of both clocks is booked."""

    review_id: UUID
    case_id: UUID
    outcome: str
    submitted_by: str
    submitted_at: datetime
    active_seconds: float
    span_seconds: float
    booked_seconds: float


class ReviewClocks(Output):
    """Both clocks of submitted reviews. What is booked is the smaller one of each review."""

    automation: str = Field(examples=["claims"])
    kind: Kind | Literal["*"] = Field(description="`*` is all kinds together.")
    reviews: int
    apart: int = Field(description="Reviews whose clocks differ by more than the idle cut of 60 seconds.")
    active_seconds: Plain = Field(description="By the reviewers' own clocks, after the idle cut.")
    span_seconds: Plain = Field(description="By the server's clock, from claim to submit.")
    difference_seconds: Plain = Field(description="Sum of the absolute differences of each review's two clocks.")
    beyond_span_seconds: Plain = Field(description="By how much reviewers' clocks ran ahead of the server's; never booked.")
    share: Plain | None = Field(description="The difference as a share of the span; null without any span.")


class ReviewClockReport(Output):
    """Of reviews submitted from ``since`` until before ``until``, by automation and kind."""

    since: datetime
    until: datetime
    items: list[ReviewClocks]
