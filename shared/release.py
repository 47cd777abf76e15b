"""What this code is: the package's version, and the revision of the schema that it was written for."""

from __future__ import annotations

from importlib.metadata import version
from platform import python_version
from typing import Final

VERSION: Final = version("recoup")
# The newest of migrations/versions; a test holds it to them. Whoever adds one changes this in the same commit.
SCHEMA: Final = "0029"
PYTHON: Final = python_version()
