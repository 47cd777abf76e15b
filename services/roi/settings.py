"""What the ROI API reads from the environment beside the shared settings."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from shared.settings import prefixed


class RoiSettings(BaseSettings):
    model_config = prefixed("RECOUP_ROI_")

    port: int = Field(default=8082, ge=0, le=65535)
