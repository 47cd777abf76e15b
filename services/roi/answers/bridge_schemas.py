"""Why a figure moved between two moments."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from services.roi.schemas import CurrencyCode, Output, Simulated
from shared.measure.baselines import Grade
from shared.web.decimals import Plain


class Cause(StrEnum):
    """In the order in which they are taken."""

    NEW_WORK = "new_work"
    """Cases decided, and money that arose, in the hour of the earlier moment or after it."""
    LATE_EVENTS = "late_events"
    """The same before that hour, but booked only after the earlier moment."""
    CORRECTIONS = "corrections"
    """Human time booked on cases after their decision, reversals, and cash of outcomes that took the place of others."""
    BASELINE = "baseline"
    """What manual handling costs: new control cases, new or expired baselines."""
    RATES = "rates"
    """Labour and exchange rates."""


class Figure(StrEnum):
    SECONDS_SAVED = "seconds_saved"
    CASH = "cash"
    TOTAL_COST = "total_cost"
    LABOUR_VALUE = "labour_value"


Number = Annotated[Plain, Field(examples=["1834.120000"])]


class Part(Output):
    cause: Cause
    amount: Number


class Movement(Output):
    """One figure. The parts add up to `difference` to the last digit."""

    figure: Figure
    unit: str = Field(description="`s`, or the answer's currency.", examples=["s"])
    before: Number
    after: Number
    difference: Number
    parts: list[Part]


class Bridge(Output):
    """From what was known at `earlier` to what was known at `later`, of one and the same period."""

    start: datetime = Field(serialization_alias="from", examples=["2026-10-24T00:00:00Z"])
    end: datetime = Field(serialization_alias="to", examples=["2026-11-23T00:00:00Z"])
    earlier: datetime = Field(examples=["2026-11-01T08:00:00Z"])
    later: datetime = Field(examples=["2026-11-20T08:00:00Z"])
    min_grade: Grade
    currency: CurrencyCode
    simulated: Simulated
    movements: list[Movement]
    unconverted: list[str] = Field(
        description="Currencies of money that no dated rate converted at one of the moments: it is in no figure of that moment.",
        examples=[[]],
    )
