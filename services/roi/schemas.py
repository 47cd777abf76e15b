"""What the ROI API answers. Decimals are strings, so that no client rounds them by accident; instants are UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.measure.baselines import Grade
from shared.measure.integrity import Verdict
from shared.web.decimals import Plain

Seconds = Annotated[Plain, Field(examples=["1123200.000"])]
Hours = Annotated[Plain, Field(examples=["312.00"])]
Amount = Annotated[Plain, Field(examples=["1834.12"])]
CurrencyCode = Annotated[str, Field(examples=["EUR"])]


# As `Seconds` and `Amount`, of at most six digits after the point: there `str`, which pydantic calls itself, writes no exponent. A function
# of ours took a tenth of the time of an answer with thousands of them.
ShortSeconds = Annotated[Decimal, Field(examples=["1123200.000"])]
ShortAmount = Annotated[Decimal, Field(examples=["1834.12"])]


class Output(BaseModel):
    model_config = ConfigDict(frozen=True)


Simulated = Annotated[bool, Field(description="The people are simulated, and their clocks may run faster: nothing of this was saved.")]


class Asked(Output):
    """What the figures are about: whole hours of UTC, widened where the question was not."""

    start: datetime = Field(serialization_alias="from", examples=["2026-10-24T00:00:00Z"])
    end: datetime = Field(serialization_alias="to", examples=["2026-11-23T00:00:00Z"])
    as_of: datetime | None = Field(description="What was booked later is in no figure; null: everything known.", examples=[None])
    computed_through: datetime = Field(description="Facts committed before are in the figures.", examples=["2026-11-22T23:59:59.400Z"])
    min_grade: Grade
    currency: CurrencyCode
    simulated: Simulated


# Of these an answer may have thousands: nothing checks what is put into a dataclass, which takes a tenth of the time of a model.
@dataclass(slots=True)
class Cases:
    """Cases decided in the period."""

    total: Annotated[int, Field(examples=[12000])]
    automated: Annotated[int, Field(description="Decided by a tier.", examples=[9800])]
    human: Annotated[int, Field(description="Automated arm, decided by a person.", examples=[1600])]
    control: Annotated[int, Field(description="Held out at random, decided by a person without help.", examples=[600])]


@dataclass(slots=True)
class Interval:
    """A 95 % interval. Null where the evidence has no spread (grade D) or there is none; `note` says which."""

    low: ShortSeconds | None
    point: ShortSeconds | None
    high: ShortSeconds | None


class HoursInterval(Output):
    low: Hours | None
    point: Hours | None
    high: Hours | None


class Saved(Output):
    """Human time that automation saved on the cases of the automated arm: their manual time less the human time spent on them."""

    at_least_hours: Hours = Field(
        description="The headline: the lower bound of the always-valid interval, less human time on automated cases from times without a"
        " control group; of stored baselines, that of their interval. Without an interval nothing is claimed here, but a loss counts."
    )
    hours: HoursInterval = Field(description="The estimate, with the interval that is right at one moment chosen beforehand.")
    always_valid: HoursInterval | None = Field(
        description="The estimate and the interval for whoever looks as often as they like at one `from`. Its point compares every case"
        " with what was expected of it before its day, so it differs a little from that of `hours`. Null below 50 control cases, or where a"
        " part of the figure has no control group."
    )
    all_cases: bool = Field(
        description="Whether `always_valid` is of all that people spent time on: not where it is null, or where they did on automated cases"
        " from times without a control group."
    )
    seconds: Interval
    grade: Grade | None = Field(description="The worst evidence in the figure.")
    covered_cases: int = Field(description="Cases of the automated arm that have a baseline.", examples=[11400])
    note: str | None = Field(examples=[None])


class GradeShare(Output):
    grade: Grade
    seconds: Seconds


class Rate(Output):
    """A dated price that was used."""

    name: str = Field(examples=["labour_hour"])
    automation: str = Field(examples=["*"])
    value: Plain = Field(examples=["42.50"])
    currency: CurrencyCode | None
    valid_from: datetime
    source: str = Field(examples=["payroll 2026"])


class Foreign(Output):
    """Money that has no dated exchange rate to the answer's currency: shown, never guessed, and in no sum."""

    kind: str = Field(examples=["cash"])
    currency: CurrencyCode
    amount: Amount


class LabourValue(Output):
    """Hours saved x the newest labour rate of the period's end. Capacity, not cash."""

    low: Amount | None = Field(
        description="Of an automation `at_least_hours` at the rate, of several the sum of theirs, of a forecast its lower end."
        " Null where a part has no interval."
    )
    point: Amount | None
    high: Amount | None


class Worth(Output):
    """Money. Capacity released (`labour_value`) stands beside cash and is never added to it."""

    compute_cost: Amount
    remote_model_cost: Amount
    platform_cost: Amount
    error_cost: Amount
    error_margin: Amount | None = Field(
        default=None,
        description="What a careful figure charges for wrong automatic decisions beyond those that are booked: upper bound of the error"
        " rate, which holds at every look, less the booked one, x loss per error x the period's automatic decisions. In no sum. Null where"
        " none of what was drawn is judged or no loss is stated.",
    )
    total_cost: Amount
    cost_per_event: Plain | None = Field(description="Total cost by cases of the automated arm.", examples=["0.000812"])
    cash: Amount = Field(description="Observed money effects, such as a duplicate payment that was stopped.")
    labour_value: LabourValue | None = Field(description="Hours saved at the labour rate; null without a rate.")
    unconverted: list[Foreign]


class Soundness(Output):
    """Whether the experiment behind a figure was carried out as planned; `/v1/roi/evidence` says more."""

    integrity: Verdict = Field(description="`broken`: the figure is red and proves nothing. `doubtful`: look before you rely on it.")
    reasons: list[str] = Field(examples=[["4 % of all cases were handled as if they were in the other arm"]])


class Figures(Output):
    """One automation, or all of them together."""

    automation: str | None = Field(description="Null in the total.", examples=["claims"])
    cases: Cases
    saved: Saved
    money: Worth
    rates: list[Rate]


class Totals(Asked):
    """Every figure that the evidence of `min_grade` or better supports."""

    total: Figures
    by_grade: list[GradeShare]
    automations: list[Figures]


class Summary(Totals):
    """The figures, what may be said aloud about them, and whether the experiment behind them is sound."""

    headline: str = Field(
        description="About the total: the lower bound first, and no saving where the experiment is broken.",
        examples=["At least 312.000 hours saved; evidence A; experiment sound."],
    )
    soundness: Soundness


Unconverted = Annotated[
    list[str], Field(description="Currencies of money that no dated rate converts: it is in no figure of this answer.", examples=[[]])
]


@dataclass(slots=True)
class Point:
    """One bucket. Intervals of buckets share their baselines: they do not add up to the interval of the period."""

    start: datetime
    cases: Cases
    seconds: Interval
    total_cost: ShortAmount
    cash: ShortAmount


class Series(Output):
    automation: str | None = Field(examples=["claims"])
    points: list[Point]


class Timeseries(Asked):
    bucket: Literal["hour", "day", "week"]
    series: list[Series]
    unconverted: Unconverted


class Part(Output):
    """What one value of the dimension holds. Money stays in its own currency here."""

    key: str = Field(examples=["claims"])
    cases: int | None = Field(description="Null where the dimension is one of money only.")
    human_seconds: Seconds | None
    seconds_saved: Seconds | None = Field(description="Point estimate; null where the dimension has none.")
    interval: Interval | None = Field(
        description="The same with its interval, of one moment chosen beforehand; parts share baselines, so bounds do not add up."
    )
    money: list[Foreign]


class Breakdown(Asked):
    by: Literal["automation", "arm", "tier", "grade", "currency", "stratum", "source", "model_version"]
    parts: list[Part]


class Balance(Output):
    """Where every record of one hour of receipt is. `difference` is 0, or there is an incident."""

    automation: str = Field(examples=["claims"])
    hour: datetime
    received: int = Field(examples=[420])
    automated: int = Field(examples=[300])
    human: int = Field(examples=[40])
    control: int = Field(examples=[20])
    duplicate: int = Field(examples=[10])
    rejected: int = Field(examples=[0])
    in_flight: int = Field(
        description="Pending, in processing, or waiting for a person; at an earlier moment the quarantined too.", examples=[50]
    )
    dead_letter: int = Field(description="Quarantined now, plus poison records.", examples=[0])
    difference: int = Field(examples=[0])
    pending: int | None = Field(default=None, description="Null at an earlier moment, where only their sum is known.", examples=[5])
    processing: int | None = Field(default=None, examples=[5])
    review: int | None = Field(default=None, examples=[40])
    quarantined: int | None = Field(default=None, examples=[0])
    poison: int = Field(examples=[0])
    outcomes: int = Field(description="Late outcomes that were applied to their cases; counted under `outcomes` only.", examples=[0])


class Conservation(Output):
    """received = automated + human + control + duplicate + rejected + in_flight + dead_letter + outcomes, exact at `as_of`.

    At an earlier moment what happened since is taken back from what is now.
    """

    start: datetime = Field(serialization_alias="from")
    end: datetime = Field(serialization_alias="to")
    as_of: datetime
    holds: bool
    hours: list[Balance]


class LedgerLine(Output):
    id: UUID
    automation: str
    case_id: UUID | None
    kind: str = Field(examples=["compute"])
    sequence: int
    arm: str | None
    stratum: str | None
    quantity: Plain | None = Field(examples=["0.001200000"])
    unit: str | None = Field(examples=["cpu_s"])
    amount: Plain | None = Field(examples=["0.0000001200"])
    currency: CurrencyCode | None
    grade: Grade
    baseline_id: UUID | None
    occurred_at: datetime
    booked_at: datetime
    reverses: UUID | None
