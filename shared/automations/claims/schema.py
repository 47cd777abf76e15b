"""The data of ``com.recoup.claim.filed.v1``."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Amount = Annotated[Decimal, Field(ge=0, max_digits=15, decimal_places=4)]
CurrencyCode = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Count = Annotated[int, Field(ge=0, le=10_000)]


class Line(StrEnum):
    """Line of business."""

    MOTOR = "motor"
    HOME = "home"
    TRAVEL = "travel"
    DEVICE = "device"


class Cause(StrEnum):
    """What happened, as the claimant ticked it."""

    COLLISION = "collision"
    GLASS = "glass"
    ANIMAL = "animal"
    VANDALISM = "vandalism"
    THEFT = "theft"
    FIRE = "fire"
    WATER = "water"
    STORM = "storm"
    BAGGAGE = "baggage"
    CANCELLATION = "cancellation"
    BREAKAGE = "breakage"
    LIABILITY = "liability"
    OTHER = "other"


class ClaimFiled(BaseModel):
    """A claim as first reported. Amounts are in ``currency``; dates are calendar dates at the place of loss."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    policy_number: Annotated[str, Field(min_length=1, max_length=64)]
    policy_start: date
    policy_end: date
    line: Line
    cause: Cause
    loss_date: date
    reported_date: date
    amount_claimed: Amount
    currency: CurrencyCode
    deductible: Amount = Decimal(0)
    sum_insured: Amount
    injured_persons: Count = 0
    police_report: bool = False
    third_party: bool = False
    prior_claims: Count = 0
    description: Annotated[str, Field(max_length=20_000)] = ""
