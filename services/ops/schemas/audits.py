"""Automatic decisions that people made again, and the brake that their findings may pull."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from services.ops.schemas.base import Identified, Input, Output, Prose
from shared.web.decimals import Plain

AuditState = Literal["waiting", "disputed", "right", "wrong"]


class Audit(Output):
    """One decision that was drawn.

    `waiting` for a second answer; `disputed`: the second one differs, and another person has to say; `right` and `wrong` are final. Answers
    are null until then, so that nobody who still has to answer is influenced.
    """

    case_id: UUID
    automation: str = Field(examples=["claims"])
    stratum: str
    state: AuditState
    probability: Plain = Field(description="That the decision was drawn; a wrong one counts 1/probability.", examples=["0.02"])
    tier: str
    model_version: str | None
    decided_at: datetime
    first_outcome: str | None
    second_outcome: str | None
    second_by: str | None
    adjudicated_outcome: str | None
    adjudicated_by: str | None
    found_at: datetime | None


class Brake(Identified):
    """People decide everything from ``braked_at`` until ``released_at``."""

    automation: str = Field(examples=["claims"])
    braked_at: datetime
    evidence: Any = Field(description="Audits, errors, error rate with its bounds, and the limit, as they were then.")
    released_at: datetime | None
    released_by: str | None
    note: str | None


class BrakeRelease(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"note": "Threshold of the model raised to 0.97, see ticket 4711."}]})

    note: Prose = Field(description="Why tiers may decide again.")
