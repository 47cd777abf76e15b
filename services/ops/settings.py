"""What the operators' API reads from the environment besides the settings that every process has."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings

from shared.settings import prefixed


class OpsSettings(BaseSettings):
    model_config = prefixed("RECOUP_OPS_")

    port: int = Field(default=8081, ge=1, le=65535)
    # A claim that hears no heartbeat for so long is given back to the queue. The console sends one every 15 s.
    claim_duration: timedelta = timedelta(minutes=5)
