"""How many cases to hold out: what is asked and what is answered."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.roi.schemas import Asked, Hours, Output
from shared.web.decimals import Plain

Share = Annotated[Plain, Field(examples=["0.05"])]


class MeasuredProcess(Output):
    """What the plan starts from: measured in the period, but for what the question gave."""

    cases_per_day: Plain = Field(examples=["200.000"])
    manual_seconds: Plain = Field(description="Mean per case without automation.", examples=["600.000"])
    deviation_seconds: Plain = Field(description="Standard deviation of single cases within a stratum.", examples=["500.000"])
    assisted_seconds: Plain = Field(description="Mean human time per case of the automated arm.", examples=["60.000"])


class Holdout(Output):
    """What one control share gives after some weeks."""

    control_share: Share
    weeks: Plain = Field(examples=["3"])
    control_cases: Plain = Field(description="Expected.", examples=["210.0"])
    saved_hours: Hours = Field(description="Expected in these weeks, on the automated cases.")
    always_valid_hours: Hours = Field(description="Half-width of the interval that holds at every look.")
    fixed_time_hours: Hours = Field(description="Half-width of the interval that holds at one look.")
    precision: Plain | None = Field(
        description="Half-width at every look over the saving; null where that is above 1000, or nothing is saved.", examples=["0.199"]
    )
    minutes_per_day: Plain = Field(description="What holding out costs: time that automation would have saved.", examples=["90.0"])
    sentence: str = Field(examples=["5 % control gives ± 20 % in 3 weeks and costs 90 minutes a day"])


class HoldoutPlan(Asked):
    """The plan for one automation."""

    automation: str = Field(examples=["claims"])
    process: MeasuredProcess
    options: list[Holdout]
    precision: Plain = Field(description="Half-width over saving that was asked for.", examples=["0.05"])
    share_needed: Share | None = Field(description="Least share that reaches it in these weeks; null where not even one half does.")
    weeks_needed: list[Plain | None] = Field(
        description="Weeks until each option's share reaches it; null: longer than ten years.", examples=[["43.1", "21.6"]]
    )
