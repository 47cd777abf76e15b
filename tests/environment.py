"""What the tests are told by their environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field
from pydantic_settings import BaseSettings


class Environment(BaseSettings):
    # True on a build server: nothing may be skipped there.
    ci: bool = Field(default=False, validation_alias="CI")
    # An existing broker to use instead of starting one.
    kafka: str = Field(default="", validation_alias="RECOUP_KAFKA_BOOTSTRAP_SERVERS")
    # A browser to use instead of the one that is installed as `chromium`.
    chromium: str = Field(default="", validation_alias="RECOUP_TEST_CHROMIUM")
    # Public data sets; relative to the repository's root.
    data: Path = Field(default=Path("../shared/data"), validation_alias="RECOUP_TEST_DATA")


def cannot(message: str, environment: Environment) -> str:
    """Skip loudly; fail where nothing may be skipped."""
    if environment.ci:
        pytest.fail(message)
    pytest.skip(message)
