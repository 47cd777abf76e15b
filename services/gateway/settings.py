"""What the gateway reads from the environment."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings

from shared.settings import prefixed


class GatewaySettings(BaseSettings):
    model_config = prefixed("RECOUP_GATEWAY_")

    port: int = Field(default=8080, ge=1, le=65535)
    # Bytes of one request. The upper bound is what a Kafka record may hold.
    body_limit: int = Field(default=256 * 1024, ge=1024, le=900_000)
    # That the body of one request may take to arrive; who is slower gets 408.
    body_timeout: timedelta = Field(default=timedelta(seconds=30), gt=timedelta(0))
    # Of each API key and each source, in each gateway process; 1,000 events in one batch count as 1,000.
    events_per_second: float = Field(default=2_000, gt=0)
    events_burst: int = Field(default=4_000, ge=1_000)
    # How long keys and sources that were good are trusted while Postgres does not answer, so that Kafka can go on taking events.
    outage_trust: timedelta = timedelta(minutes=15)
