"""Figures as they are shown: a bound is never rounded towards the estimate, so that "at least" and "at most" stay true."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal


def at_least(value: Decimal | float, step: Decimal) -> Decimal:
    """The largest multiple of a power of ten that is not above the value; of a float, not above its shortest decimal form."""
    return _exact(value).quantize(step, ROUND_FLOOR)


def at_most(value: Decimal | float, step: Decimal) -> Decimal:
    """The least multiple that is not below the value, as `at_least`."""
    return _exact(value).quantize(step, ROUND_CEILING)


def outwards(ends: Iterable[Decimal | float | None], step: Decimal) -> dict[str, Decimal | None]:
    """``low``, ``point`` and ``high`` of an interval, given in this order; the shown one covers no less. None stays None."""
    low, point, high = ends
    return {
        "low": None if low is None else at_least(low, step),
        "point": None if point is None else _exact(point).quantize(step),
        "high": None if high is None else at_most(high, step),
    }


def _exact(value: Decimal | float) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(repr(value))
