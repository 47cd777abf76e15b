"""The running line."""

from tests.harness.fixtures import line

__all__ = ["line"]
