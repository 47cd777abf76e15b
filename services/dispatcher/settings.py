from __future__ import annotations

from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings

from shared.settings import prefixed


class DispatcherSettings(BaseSettings):
    model_config = prefixed("RECOUP_DISPATCHER_")

    # Health and metrics.
    port: int = Field(default=9101, ge=0, le=65535)
    # Records of one transaction at most.
    batch: int = Field(default=500, ge=1, le=5000)
    # Records wait on a partition and none comes for so long: exit, and let the supervisor start a fresh consumer.
    stall_after: timedelta = timedelta(seconds=30)
    # The loop itself has not turned for so long, as in a client call without a timeout: exit.
    hang_after: timedelta = timedelta(seconds=60)
