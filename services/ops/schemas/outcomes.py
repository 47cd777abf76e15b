"""What business systems said later about cases."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from services.ops.schemas.base import CurrencyCode, Identified, Line, Output
from shared.events.outcome import Result
from shared.web.decimals import Plain

OutcomeState = Literal["waiting", "applied", "unmatched"]


class OutcomeSearch(Output):
    """Filters; None does not filter."""

    automation: Line | None = None
    case_id: UUID | None = None
    state: OutcomeState | None = None
    result: Result | None = None


class LateOutcome(Identified):
    """One event of type `com.recoup.case.outcome.v1`.

    `waiting`: its case is not there yet, or not decided; `applied`: the ledger follows it; `unmatched`: it named no case for too long, and
    is a dead letter until its case comes after all. Of several about one case the one with the latest `occurred_at` holds.
    """

    source: str = Field(description="Of the outcome's own event.", examples=["/erp/claims"])
    event_id: str = Field(examples=["refund-2026-4711"])
    state: OutcomeState
    result: Result
    loss: Plain | None = Field(description="What it cost in truth, where that was said.", examples=["312.50"])
    currency: CurrencyCode | None
    case_id: UUID | None = Field(description="The case that it names; null where there is none yet.")
    automation: str | None = Field(description="Of that case.", examples=["claims"])
    named_source: str | None = Field(
        description="As the outcome names the event of its case, if not by `case_id`.", examples=["/erp/claims"]
    )
    named_event_id: str | None = Field(examples=["C-2026-000123"])
    lines: int | None = Field(description="Ledger lines that it booked, reversals among them; null until it is applied.", examples=[2])
    occurred_at: datetime = Field(description="Since when it is so.")
    received_at: datetime
    settled_at: datetime | None = Field(description="When it was applied, or given up.")
