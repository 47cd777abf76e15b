"""Numbers as categories: models see ``amount=3``, the position of the number between edges learnt from the training part.

A number of few values is a category itself, in one writing: ``3``, ``3.0`` and ``3e0`` are one.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Collection, Mapping
from typing import Final

Edges = Mapping[str, tuple[float, ...]]
# From here on a 64-bit number is not every integer.
EXACT: Final = 2.0**53
_CODE: Final = re.compile(r"[+-]?0[0-9]")


def number(text: str) -> float | None:
    """None where the text is no finite number."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def is_code(text: str) -> bool:
    """A needless zero at its beginning makes a code of what else were a number: ``007``, a postcode, an account."""
    return _CODE.match(text) is not None


def binned(fields: Mapping[str, str], edges: Edges, numbers: Collection[str] = ()) -> dict[str, str]:
    """Fields with edges as the position of their number between them, 0 below the first; those among ``numbers`` in one writing; the
    rest, and what is no number, as it is.
    """
    found = {name: _bin(value, edges[name]) if name in edges else value for name, value in fields.items()}
    return found | {name: canonical(fields[name]) for name in numbers if name in fields and name not in edges}


def canonical(text: str) -> str:
    """The shortest writing of a number, without a fraction where it has none; what is no number as it is."""
    found = number(text)
    if found is None:
        return text
    return str(int(found)) if abs(found) < EXACT and found.is_integer() else repr(found)


def _bin(text: str, edges: tuple[float, ...]) -> str:
    found = number(text)
    return text if found is None else str(bisect_right(edges, found))
