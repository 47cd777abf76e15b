"""Versions of an automation's models, and how each is rolled out."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from services.ops.schemas.base import Input, Output, Prose
from shared.web.decimals import Plain

State = Literal["shadow", "canary", "active", "retired"]


class Evidence(Output):
    """What the same cases say about this version beside the present one, as of the steward's last look."""

    at: datetime
    cases: int = Field(description="Cases that both versions have said something about.")
    observed: int = Field(description="Those of them whose truth a person has said without help.")
    blind: int = Field(description="Those whose truth is never seen: no control arm, and nothing that could be audited.")
    difference: float = Field(description="Error rate of this version less that of the present one.")
    low: float = Field(description="Lower end of the 95 % confidence sequence of it, which stays right however often you look.")
    high: float
    present_share: float = Field(description="Share of cases that the present version decides without a person.")
    candidate_share: float


class ModelVersion(Output):
    """One version of an automation's models. Without a `state` you have never rolled it out."""

    automation: str = Field(examples=["claims"])
    version: str = Field(examples=["1.1.0"])
    installed: bool = Field(description="Workers have it.")
    is_default: bool = Field(description="Holds while you have promoted no other.")
    state: State | None
    canary_share: Plain
    since: datetime | None = Field(description="Begin of its latest trial.")
    evidence: Evidence | None
    changed_at: datetime | None
    changed_by: str | None
    reason: str | None


class ModelVersions(Output):
    items: list[ModelVersion]


class ModelChange(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"state": "canary", "canary_share": "0.10"}]})

    state: State
    canary_share: Annotated[Decimal, Field(gt=0, le=1, max_digits=5, decimal_places=4, examples=["0.10"])] | None = None
    force: bool = Field(default=False, description="Promote although the evidence does not allow it; needs a reason.")
    reason: Prose | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.state == "canary") != (self.canary_share is not None):
            raise ValueError("a canary has a canary_share, and nothing else has")
        if self.force and self.reason is None:
            raise ValueError("to force needs a reason")
        return self


class DriftFinding(Output):
    """Each pair is held against `level` and against an index of 0.2; both must be passed."""

    score_index: float = Field(description="Population stability index of the scores.")
    score_p: float = Field(description="Probability of such a difference, were there none.")
    label_index: float
    label_p: float
    certified: bool = Field(default=False, description="Scores were held against those of the labels that the model was certified on.")
    level: float = Field(description="Falls with every window, so that all of them together raise a false alarm in 1 % of models.")


class ModelWindow(Output):
    """What one model said about the cases received on one day."""

    automation: str
    tier: str = Field(examples=["nano"])
    model_version: str = Field(examples=["complaints-nano@1.0.0"])
    day: date
    cases: int
    is_reference: bool = Field(description="Later days are held against this one, at least their labels.")
    finding: DriftFinding | None = Field(
        description="Null for days with fewer than 100 cases, and for the reference of a model without certified scores."
    )
    drifted: bool


class ModelWindows(Output):
    items: list[ModelWindow]
