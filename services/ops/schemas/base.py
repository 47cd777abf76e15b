"""Types that every noun uses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
_LAST = datetime(2200, 1, 1, tzinfo=UTC)


def _storable(at: datetime) -> datetime:
    if not _FIRST <= at < _LAST:
        raise ValueError("must lie between the years 2000 and 2199")
    return at.astimezone(UTC)


Instant = Annotated[AwareDatetime, AfterValidator(_storable), Field(examples=["2026-11-23T08:00:00Z"])]
# One line of text, as names and codes are. PostgreSQL stores no NUL; the rest would only confuse whoever reads it.
Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
# The longest source or id that an event may have.
Reference = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^\x00-\x1f\x7f]+$")]
Prose = Annotated[str, StringConstraints(min_length=1, max_length=4000, pattern=r"^[^\x00]+$")]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00]+$")]
CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$"), Field(examples=["EUR"])]
# A hundred million seconds: more than three years of work on one case.
Seconds = Annotated[float, Field(ge=0, le=1e8, allow_inf_nan=False, examples=[74.5])]


class Input(BaseModel):
    """A body. Unknown members are refused, so that a misspelt one is not silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Output(BaseModel):
    """An answer, built from a row."""

    model_config = ConfigDict(frozen=True)


class Identified(Output):
    id: UUID


class Count(Output):
    """How many rows a bulk order changed; ``more`` is true where the limit cut it short: send it again."""

    count: int = Field(examples=[120])
    more: bool = False
