"""What the courier reads from the environment."""

from __future__ import annotations

import ssl
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings

from shared.settings import prefixed


class CourierSettings(BaseSettings):
    model_config = prefixed("RECOUP_COURIER_")

    port: int = Field(default=9103, ge=0, le=65535)

    # Networks that may receive callbacks although they are private, as a JSON list of CIDRs; any port of them is allowed.
    # Whoever may register an endpoint can make the courier POST to every address in here.
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    # Ports of public addresses that may receive callbacks, as a JSON list.
    allowed_ports: tuple[int, ...] = (443, 8443)
    # False lets URLs start with http:// too: signed, but readable on the way.
    require_https: bool = True
    # PEM bundle to trust instead of the system's, for receivers with certificates of a private authority.
    ca_file: Path | None = None

    # Whole attempt: resolve, connect, send, until the status line is there. Standard Webhooks asks for 15 to 30 s.
    timeout: timedelta = timedelta(seconds=15)
    # A claimed delivery that nobody has reported on is claimable again after this time, by the database's clock.
    lease: timedelta = timedelta(seconds=45)
    # Attempts in flight, per process and per endpoint.
    concurrency: int = Field(default=128, ge=1, le=2000)
    endpoint_concurrency: int = Field(default=8, ge=1, le=100)
    # How long an idle courier waits before it looks again.
    poll_interval: timedelta = timedelta(milliseconds=200)
    # An endpoint that only failed for this long is disabled.
    disable_after: timedelta = timedelta(days=5)

    @field_validator("ca_file")
    @classmethod
    def _holds_certificates(cls, file: Path | None) -> Path | None:
        try:
            ssl.create_default_context(cafile=file)
        except OSError:
            raise ValueError("is no readable PEM file of certificates") from None
        return file

    @model_validator(mode="after")
    def _lease_outlives_an_attempt(self) -> CourierSettings:
        if self.lease < 2 * self.timeout:
            raise ValueError("RECOUP_COURIER_LEASE must be at least twice RECOUP_COURIER_TIMEOUT, or attempts would be made twice")
        return self
