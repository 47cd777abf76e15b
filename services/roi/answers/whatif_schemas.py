"""Other thresholds: what is answered."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.roi.schemas import Amount, Asked, Hours, HoursInterval, Output
from shared.web.decimals import Plain

Threshold = Annotated[Plain, Field(examples=["0.90"])]


class ErrorCount(Output):
    """Wrong automatic decisions; null where too little was audited to say. Bounds hold at every look, for each threshold by itself."""

    low: Plain | None = Field(examples=["0.00"])
    point: Plain | None = Field(examples=["12.50"])
    high: Plain | None = Field(examples=["61.20"])


class LossInterval(Output):
    low: Amount | None
    point: Amount | None
    high: Amount | None


class Scenario(Output):
    """What the period would have been."""

    threshold: Threshold | None = Field(description="Null: as it really was.")
    automatic: int = Field(description="Cases decided without a person.", examples=[9800])
    people: int = Field(description="Cases of the automated arm that need a person: the review load.", examples=[1600])
    automatic_share: Plain | None = Field(examples=["0.8596"])
    review_hours: HoursInterval = Field(description="95 % interval of the load, at the measured time of cases that people decided.")
    saved_hours: HoursInterval = Field(description="95 % interval of the saving.")
    errors: ErrorCount
    error_cost: LossInterval | None = Field(description="At the dated loss per error; null without one.")
    labour_value: Amount | None = Field(description="Saved hours (point) at the labour rate. Capacity, not cash; null without a rate.")


class WhatIf(Asked):
    """Other thresholds over the period, from the scores that tiers gave: over whole days of UTC, from `from` to `to` of the answer."""

    automation: str = Field(examples=["claims"])
    scored: int = Field(description="Cases of the automated arm with a score of a model.", examples=[10900])
    by_rule: int = Field(description="Cases that a rule decided or sent to a person: no threshold changes them.", examples=[420])
    unscored: int = Field(description="Cases that no tier gave a score: a person decides them whatever the threshold.", examples=[80])
    as_it_was: Scenario
    options: list[Scenario]
    assumes: list[str]
    hours_per_person_case: Hours | None
