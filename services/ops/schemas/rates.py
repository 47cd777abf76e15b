"""What hours, errors, CPU time, tokens and foreign money are worth, from which moment on, and who says so."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from services.ops.schemas.base import CurrencyCode, Identified, Input, Instant, Line, Prose

EVERY = "*"
# Of a model: provider and model as the cascade names them, any characters but colons and blanks.
NAME = r"^(labour_hour|loss_per_error|cpu_hour|fx:[A-Z]{3}:[A-Z]{3}|tokens:[^\s:\x00-\x1f\x7f]{1,150}:(input|output))$"
RateName = Annotated[str, Field(pattern=NAME, max_length=200, examples=["labour_hour", "fx:EUR:USD", "tokens:openai/gpt-x:input"])]
# What workers spend on no case is booked for all tenants together: an amount that no ledger line holds would hold up everybody's.
_MOST_OF_CPU_HOUR = 10**6
_PER_AUTOMATION = ("labour_hour", "loss_per_error")


class NewRate(Input):
    """A value that holds from a moment on.

    `labour_hour` and `loss_per_error` (what one wrong automatic decision costs) may be set per automation; `cpu_hour` is an hour of one
    core; `tokens:PROVIDER/MODEL:input` and `…:output` are a million tokens; `fx:EUR:USD` is how many dollars a euro is.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "labour_hour", "value": "52.40", "currency": "EUR", "source": "HR, loaded cost of grade E9, 2026"}]
        }
    )

    name: RateName
    automation: Line = EVERY
    value: Annotated[Decimal, Field(ge=0, max_digits=20, decimal_places=8)]
    currency: CurrencyCode | None = Field(default=None, description="Of the value; left out for `fx:` only.")
    valid_from: Instant | None = Field(default=None, description="Now where it is left out.")
    source: Prose
    correction: bool = Field(default=False, description="There is a value from this very moment, and it was wrong: this one replaces it.")

    @model_validator(mode="after")
    def fits_its_name(self) -> NewRate:
        if self.automation != EVERY and self.name not in _PER_AUTOMATION:
            raise ValueError("this rate holds for every automation: leave `automation` out")
        if self.name.startswith("fx:"):
            _check_exchange(self)
        elif self.currency is None:
            raise ValueError("this rate is money: say in which `currency`")
        if self.name == "cpu_hour" and self.value >= _MOST_OF_CPU_HOUR:
            raise ValueError(f"an hour of one core costs less than {_MOST_OF_CPU_HOUR:,}")
        return self


def _check_exchange(rate: NewRate) -> None:
    _, bought, sold = rate.name.split(":")
    if rate.currency is not None:
        raise ValueError("an exchange rate names its currencies itself: leave `currency` out")
    if bought == sold or rate.value == 0:
        raise ValueError("an exchange rate is between two currencies, and above zero")


class Rate(Identified):
    """One row; of several with one name, automation and `valid_from` the one stored last counts, and the others stay to be seen."""

    name: str
    automation: str
    value: Decimal
    currency: str | None
    valid_from: datetime
    source: str
    created_at: datetime
