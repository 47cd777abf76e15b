"""What manual handling takes where no concurrent control says it: imported logs, time studies, declarations."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from services.ops.schemas.base import Identified, Input, Instant, Line, Output, Prose

Mean = Annotated[Decimal, Field(ge=0, le=100_000_000, max_digits=18, decimal_places=6)]
Variance = Annotated[Decimal, Field(ge=0, max_digits=24, decimal_places=6)]
Origin = Literal["log", "study", "renewal"]


class NewBaseline(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"automation": "claims", "mean_seconds": "840", "method": "Estimate of three team leads, November 2026."}]
        }
    )

    automation: Line
    stratum: Line = "*"
    mean_seconds: Mean
    method: Prose
    valid_from: Instant | None = Field(default=None, description="Now where it is left out.")
    expires_at: Instant | None = Field(default=None, description="90 days after `valid_from` where it is left out.")


class StratumTimes(Input):
    """Seconds of work per case in one stratum; `*` holds for every stratum without its own."""

    stratum: Line = "*"
    n: int = Field(ge=30, le=2_147_483_647, description="Cases. Fewer than 30 say too little about a mean of heavy-tailed times.")
    mean_seconds: Mean
    variance_seconds2: Variance = Field(description="Of single cases, unbiased.")


class LogSource(Input):
    """Which file was read, and how; the same file read in the same way counts once."""

    name: Line
    format: Literal["xes", "csv"]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    options: dict[Line, Line] = Field(default_factory=dict, max_length=40)


class LogBaselines(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "automation": "claims",
                    "source": {"name": "claims-2026q3.xes.gz", "format": "xes", "sha256": "0" * 63 + "1", "options": {"longest": "PT8H"}},
                    "period_start": "2026-07-01T06:00:00Z",
                    "period_end": "2026-09-30T17:00:00Z",
                    "segments": 4120,
                    "left_out": {"longer than the longest": 3},
                    "strata": [{"stratum": "*", "n": 812, "mean_seconds": "1473.25", "variance_seconds2": "1834112.5"}],
                }
            ]
        }
    )

    automation: Line
    source: LogSource
    period_start: Instant
    period_end: Instant
    segments: int = Field(ge=1, le=10_000_000_000, description="Work segments that were added up to the times of cases.")
    left_out: dict[Line, Annotated[int, Field(ge=0)]] = Field(default_factory=dict, max_length=20)
    strata: tuple[StratumTimes, ...] = Field(min_length=1, max_length=500)
    valid_from: Instant | None = Field(default=None, description="Now where it is left out.")
    expires_at: Instant | None = Field(default=None, description="90 days after `valid_from` where it is left out.")

    @model_validator(mode="after")
    def each_stratum_once(self) -> LogBaselines:
        if len({times.stratum for times in self.strata}) < len(self.strata):
            raise ValueError("a stratum is named twice")
        if self.period_end < self.period_start:
            raise ValueError("the period ends before it begins")
        return self


class Study(Input):
    """Watched and timed by somebody, case by case."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "automation": "claims",
                    "protocol": "Every fifth claim of the day, stopwatch from opening to decision, breaks taken out.",
                    "observer": "j.brandt",
                    "observed_from": "2026-11-02T08:00:00Z",
                    "observed_until": "2026-11-13T16:00:00Z",
                    "seconds": [840 + 7 * n for n in range(30)],
                }
            ]
        }
    )

    automation: Line
    stratum: Line = "*"
    protocol: Prose = Field(description="How cases were chosen and what was timed; stored with the times.")
    observer: Line
    observed_from: Instant
    observed_until: Instant
    seconds: tuple[Annotated[float, Field(ge=0, le=1e8, allow_inf_nan=False)], ...] = Field(min_length=30, max_length=5000)
    valid_from: Instant | None = Field(default=None, description="Now where it is left out.")
    expires_at: Instant | None = Field(default=None, description="90 days after `valid_from` where it is left out.")

    @model_validator(mode="after")
    def ends_after_it_begins(self) -> Study:
        if self.observed_until < self.observed_from:
            raise ValueError("the study ends before it begins")
        return self


class Renewal(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "Sample of 40 cases in November: mean within 3 %, form and rules unchanged."}]}
    )

    reason: Prose = Field(description="Why it still holds.")


class Baseline(Identified):
    """``grade`` is what it was stored with; expired, it counts as D."""

    automation: str
    stratum: str
    grade: str = Field(examples=["D"])
    mean_seconds: Decimal
    variance_seconds2: Decimal | None
    n: int
    method: str
    valid_from: datetime
    expires_at: datetime
    created_at: datetime
    expired: bool
    origin: Origin | None = Field(description="What it rests on; null where it was only declared.")
    period_start: datetime | None
    period_end: datetime | None
    renews: UUID | None
    evidence: dict[str, Any] | None = Field(
        description="What was read and left out, the protocol and times of a study, or why it was renewed."
    )


class Imported(Output):
    """``created`` is false where this file was imported before in the same way: nothing was stored again."""

    created: bool
    baselines: list[Baseline]
