"""The next period, and whether an investment pays: what is answered."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from services.roi.schemas import Amount, Asked, HoursInterval, LabourValue, Output, Unconverted
from shared.web.decimals import Plain

Block = Literal["week", "day"] | None


class MoneyInterval(Output):
    """A 95 % interval; null ends where there are too few blocks."""

    low: Amount | None
    point: Amount
    high: Amount | None


class AutomationForecast(Output):
    automation: str | None = Field(description="Null in the total.", examples=["claims"])
    block: Block = Field(description="What its measured period is cut into; null where it has not one whole day.")
    blocks: int = Field(
        description="Whole blocks that were measured since its first case; in the total, of the longest measured one.", examples=[8]
    )
    hours: HoursInterval | None = Field(description="Hours that will be saved; null where nothing is measured.")
    labour_value: LabourValue | None = Field(description="These hours at the labour rate of now, or of `as_of`. Capacity, not cash.")
    total_cost: MoneyInterval
    cash: MoneyInterval
    note: str | None = Field(examples=[None])


class Forecast(Asked):
    """The next days if they are like the measured ones."""

    days_ahead: int = Field(examples=[30])
    block: Block = Field(description="As in the total.")
    blocks: int = Field(description="As in the total.", examples=[8])
    assumes: list[str] = Field(description="What the interval holds under; where it does not, neither does the interval.")
    total: AutomationForecast
    automations: list[AutomationForecast]
    unconverted: Unconverted


class Stream(Output):
    """One kind of return. Dates are ends of weeks; amounts are discounted to the day of the investment."""

    measured: Amount = Field(description="Sum of the measured weeks so far, not discounted.")
    per_week: Amount = Field(description="Mean of the measured whole weeks: what is assumed to go on. Zero before one is over.")
    npv_measured: Amount = Field(description="Present value of what is measured, less the investment.")
    npv: Amount = Field(description="The same to the end of the horizon, what is not measured of it at `per_week`.")
    paid_back_on: date | None = Field(description="First end of a week at which the discounted sum has reached the investment.")
    paid_back: Literal["measured", "expected", "never"] = Field(
        description="`never` within the horizon. `expected` rests on `per_week` going on as measured."
    )


Rate = Annotated[Plain, Field(examples=["0.08"])]


class Payback(Asked):
    """Cash and capacity stand apart: hours pay no bill until somebody uses them."""

    investment: Amount
    invested_on: date
    discount_rate: Rate = Field(description="Per year; a flow after d days counts (1 + rate)^(-d/365).")
    months: int = Field(description="Horizon from the day of the investment, months of 365/12 days.", examples=[36])
    cash: Stream = Field(description="Observed cash less all costs, the platform's included.")
    capacity_at_least: Stream | None = Field(
        description="Hours at the labour rate, by the bound that holds at every look, as the headline, less the same costs:"
        " less than nothing below 50 control cases; null without rate or interval."
    )
    capacity: Stream | None = Field(description="The same by the point estimate.")
    unconverted: list[str] = Field(description="Currencies that no dated rate converts: their money is in no stream.", examples=[[]])
