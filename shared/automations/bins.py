"""Numbers as categories: models see ``amount=3``, the position of the number between edges learnt from the training part."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping

Edges = Mapping[str, tuple[float, ...]]


def number(text: str) -> float | None:
    """None where the text is no finite number."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def binned(fields: Mapping[str, str], edges: Edges) -> dict[str, str]:
    """Fields with edges as the position of their number between them, 0 below the first; the rest, and what is no number, as it is."""
    return {name: _bin(value, edges[name]) if name in edges else value for name, value in fields.items()}


def _bin(text: str, edges: tuple[float, ...]) -> str:
    found = number(text)
    return text if found is None else str(bisect_right(edges, found))
