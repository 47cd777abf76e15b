"""Plots as lines and areas, so that they stay sharp at any size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.roi.exports.page import BLUE, FAINT, INK, MARGIN, RED, RULE, SMALL, Box, Sheet, Style, fitted

if TYPE_CHECKING:
    from collections.abc import Callable

    from reportlab.lib.colors import Color

_PART = Style(8, INK, align="right")
_TICK = Style(6.5, FAINT, align="right")
_BELOW = Style(6.5, FAINT, align="center")


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure with its interval, where it has one; ``point`` None: nothing is known."""

    label: str
    low: float | None
    point: float | None
    high: float | None


def ticks(lowest: float, highest: float, wanted: int = 4) -> list[float]:
    """Round numbers around a range, from 0 where it begins above."""
    low, high = min(lowest, 0.0), max(highest, 0.0)
    if high <= low:
        high = low + 1.0
    rough = (high - low) / wanted
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
    return [step * number for number in range(math.floor(low / step), math.ceil(high / step) + 1)]


def over_time(sheet: Sheet, box: Box, points: Sequence[Measured], gain: Color) -> None:
    """A bar for each bucket, its interval as a line, the label of some buckets below."""
    values = [end for point in points for end in (point.low, point.point, point.high) if end is not None]
    marks = ticks(min(values, default=0.0), max(values, default=0.0))
    y = _scale(marks, box.bottom, box.top)
    for mark in marks:
        sheet.line((box.left, y(mark)), (box.right, y(mark)), RULE, 0.4)
        sheet.text(box.left - 4, y(mark) - 2, f"{mark:g}", _TICK)
    step = box.width / max(len(points), 1)
    every = math.ceil(len(points) / 8) or 1
    for number, point in enumerate(points):
        middle = box.left + step * (number + 0.5)
        if point.point is not None:
            below, above = sorted((y(0.0), y(point.point)))
            sheet.bar(Box(middle - step * 0.34, below, step * 0.68, above - below), gain if point.point >= 0 else RED)
        if point.low is not None and point.high is not None:
            sheet.line((middle, y(point.low)), (middle, y(point.high)), INK, 0.7)
        if number % every == 0:
            sheet.text(middle, box.bottom - 10, point.label, _BELOW)
    sheet.line((box.left, y(0.0)), (box.right, y(0.0)), INK, 0.7)


def side_by_side(sheet: Sheet, box: Box, parts: Sequence[Measured]) -> None:
    """An interval for each part on one scale, the point as a dot; names stand left of the box."""
    values = [end for part in parts for end in (part.low, part.point, part.high) if end is not None]
    marks = ticks(min(values, default=0.0), max(values, default=0.0))
    x = _scale(marks, box.left, box.right)
    for mark in marks:
        sheet.line((x(mark), box.bottom), (x(mark), box.top), RULE, 0.4)
        sheet.text(x(mark), box.bottom - 10, f"{mark:g}", _BELOW)
    step = box.height / max(len(parts), 1)
    for number, part in enumerate(parts):
        y = box.top - step * (number + 0.5)
        sheet.text(box.left - 6, y - 2.5, fitted(part.label, box.left - 6 - MARGIN, _PART), _PART)
        if part.point is None:
            sheet.text(box.left + 4, y - 2.5, "not measured", SMALL)
            continue
        if part.low is not None and part.high is not None:
            sheet.line((x(part.low), y), (x(part.high), y), BLUE, 1.6)
        sheet.dot(x(part.point), y, BLUE)
    sheet.line((x(0.0), box.bottom), (x(0.0), box.top), INK, 0.7)


def _scale(marks: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    span = marks[-1] - marks[0]
    return lambda value: start + (value - marks[0]) / span * (end - start)
