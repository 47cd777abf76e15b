"""What became of a case later, as its business system tells it: an event about an earlier event. It opens no case of its own."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.automations.contract import Automation

OUTCOME_TYPE: Final = "com.recoup.case.outcome.v1"
# As what these events are counted; no automation of this name decides anything.
OUTCOMES_NAME: Final = "outcomes"

_Reference = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^\x00-\x1f\x7f]+$")]
_Code = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class Result(StrEnum):
    """What is known now."""

    REOPENED = "reopened"
    """Somebody works on it again."""
    APPEALED = "appealed"
    """The person concerned contests it."""
    REFUNDED = "refunded"
    """Money went back."""
    CONFIRMED_WRONG = "confirmed_wrong"
    """The decision was wrong."""
    CONFIRMED_RIGHT = "confirmed_right"
    """The decision was right, also where something else was said before."""


class NamedEvent(BaseModel):
    """The event that opened the case, by ``source`` and ``id`` as they were sent: ``event.source`` and ``event.id`` of a callback."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: _Reference
    id: _Reference


class Loss(BaseModel):
    """What a wrong decision or a refund cost."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Ten digits before the point, also where they are rounded up to eleven: a ledger line holds twenty.
    amount: Annotated[Decimal, Field(gt=0, lt=10**10, max_digits=14, decimal_places=4)]
    currency: _Code


class CaseOutcome(BaseModel):
    """Data of an event of type `com.recoup.case.outcome.v1`. Its ``time`` says since when it is so: the latest one of a case counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    case_id: UUID | None = Field(default=None, description="As in callbacks; either this or `event`.")
    event: NamedEvent | None = None
    result: Result
    loss: Loss | None = Field(default=None, description="What it cost in truth, where that is known.")

    @model_validator(mode="after")
    def names_one_case(self) -> CaseOutcome:
        if (self.case_id is None) == (self.event is None):
            raise ValueError("name the case by `case_id` or by `event`")
        if self.loss is not None and self.result not in {Result.REFUNDED, Result.CONFIRMED_WRONG}:
            raise ValueError("only a refund or a wrong decision has a loss")
        return self


# So that these events pass the doors as all others do.
OUTCOMES: Final = Automation(
    name=OUTCOMES_NAME, event_type=OUTCOME_TYPE, data_model=CaseOutcome, outcomes={}, title="Late outcomes of cases", tiers=()
)
