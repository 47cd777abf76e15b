"""What released hours meet: the queue as it is measured."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.roi.schemas import Asked, Hours, HoursInterval, Output
from shared.web.decimals import Plain

PerDay = Annotated[Plain, Field(examples=["41.500"])]


class MeasuredQueue(Output):
    """Cases that need a person. Rates are of the period, as known at `as_of`; what waits is of now, whatever was asked for."""

    waiting: int = Field(description="Open control and exception reviews now.", examples=[83])
    waiting_others: int = Field(description="Open reviews of decided cases now: audits and rework.", examples=[4])
    oldest_hours: Hours | None = Field(description="Age of the oldest open review; null where none is open.")
    arrivals_per_day: PerDay | None = Field(
        description="Cases received in the period that needed a person, decided or not. Null with `as_of`; `note` says why."
    )
    completions_per_day: PerDay = Field(description="Cases that a person decided in the period.")
    growth_per_day: Plain | None = Field(
        description="Arrivals less completions: positive, and the queue grows. Null with `as_of`.", examples=["-0.500"]
    )
    seconds_per_case: Plain | None = Field(description="Mean human time of a case that a person decided.", examples=["312.400"])
    waiting_hours_of_work: Hours | None = Field(description="`waiting` x `seconds_per_case`: how much work waits.")
    expected_wait_hours: Hours | None = Field(
        description="Little's law, L = λW: `waiting` at the measured rate of completion. Right where both stay as they are."
    )


class Released(Output):
    """Hours per day that automation released, and what share of all manual work that is."""

    hours_per_day: HoursInterval
    worked_hours_per_day: Hours = Field(description="Hours per day that people did work on cases.")
    share: Plain | None = Field(description="Released of released and worked; null without a saving.", examples=["0.87"])
    days_to_clear: Plain | None = Field(
        description="Days in which the released hours (lower bound) would do the work that waits now; null where none is released.",
        examples=["0.7"],
    )


class AutomationCapacity(Output):
    automation: str | None = Field(description="Null in the total.", examples=["claims"])
    released: Released
    queue: MeasuredQueue


class Capacity(Asked):
    """Capacity released, against the measured queue and throughput. Hours that nobody uses are worth nothing."""

    days: Plain = Field(
        description="From the beginning of the period, or from the first record of all where that is later, to its end, now or `as_of`.",
        examples=["30.0"],
    )
    total: AutomationCapacity
    automations: list[AutomationCapacity]
    note: str | None = Field(default=None, description="What is null with `as_of`, and why; null without it.", examples=[None])
