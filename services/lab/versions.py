"""Versions of a pack side by side in one folder: the oldest decides until somebody promotes another."""

from __future__ import annotations

from typing import Final

# Of a pack for which nobody names another.
FIRST: Final = "2.0.0"


def stem(name: str, version: str) -> str:
    """What reports of a pack are called, and the folder that it is made in: by its name, and by its version where that was named."""
    return name if version == FIRST else f"{name}@{version}"
