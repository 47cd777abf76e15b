"""What the ROI API reads from the environment beside the shared settings."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field
from pydantic_settings import BaseSettings

from shared.measure.footprint import Assumptions
from shared.settings import prefixed


class RoiSettings(BaseSettings):
    model_config = prefixed("RECOUP_ROI_")

    port: int = Field(default=8082, ge=0, le=65535)
    # Of energy and carbon, which are estimates; sources of the defaults in `shared.measure.footprint`.
    watts_per_core: Decimal = Field(default=Assumptions().watts, gt=0, le=1000)
    power_overhead: Decimal = Field(default=Assumptions().overhead, ge=1, le=10)
    grams_per_kwh: Decimal = Field(default=Assumptions().grams_per_kwh, ge=0, le=5000)
