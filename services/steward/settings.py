"""What the steward reads from the environment beside the shared settings."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings

from shared.settings import prefixed


class StewardSettings(BaseSettings):
    model_config = prefixed("RECOUP_STEWARD_")

    # Health and metrics.
    port: int = Field(default=9104, ge=0, le=65535)
    # A new case is left to whoever has just enqueued it for this long.
    grace: timedelta = timedelta(seconds=5)
    # Waiting time before a case is sent again: base * 2^n, at most the cap, plus up to a quarter at random.
    backoff_base: timedelta = timedelta(seconds=10)
    backoff_cap: timedelta = timedelta(minutes=5)
    # Runs of one case that may fail before a person must look.
    attempt_cap: int = Field(default=5, ge=1, le=100)
    # Cases sent again at once; those that have failed before go alone, one order each, because one of them may kill its worker.
    batch: int = Field(default=5000, ge=1, le=50_000)
    batch_alone: int = Field(default=200, ge=1, le=5000)
    # Orders in Redis beyond which the workers have enough to do and nothing is sent again.
    queue_limit: int = Field(default=100, ge=1)
    # Older pending cases break an invariant; paused automations are excepted.
    pending_limit: timedelta = timedelta(minutes=15)
    # How often the workers' CPU time that stands on no case is booked.
    overhead_period: timedelta = timedelta(hours=1)
    # A late outcome that has named no case for so long is a dead letter.
    outcome_patience: timedelta = timedelta(days=30)
    # How long the diary of jobs is kept.
    keep_runs: timedelta = timedelta(hours=2)
