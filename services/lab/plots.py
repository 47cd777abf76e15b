"""Plots of an evaluation as SVG: calibration, risk against coverage, cost against coverage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

import numpy as np
import numpy.typing as npt

from services.lab.answers import Answers

# The edge has room for figures of five signs beside the name of the axis.
_SIZE, _EDGE, _LOW = 360, 60, 48
INK, SOFT, _LINE = "#1f2933", "#9aa5b1", "#2f5d9b"
# What a person's minute and a wrong decision cost where nobody said otherwise: only their ratio shapes the curve.
REVIEW_COST: Final = 0.5
ERROR_COST: Final = 10.0


def _x(share: float) -> float:
    return _EDGE + (_SIZE - _EDGE - 12) * share


def _y(share: float) -> float:
    return _SIZE - _LOW - (_SIZE - _LOW - 28) * share


def _framed(title: str, across: str, up: str, content: Iterable[str], top: float = 1.0) -> str:
    text = f'fill="{INK}" font-size="12"'
    ticks = [f'<text x="{_x(share):.0f}" y="{_SIZE - _LOW + 16}" text-anchor="middle" {text}>{share:g}</text>' for share in (0, 0.5, 1)]
    ticks += [f'<text x="{_EDGE - 6}" y="{_y(share) + 4:.0f}" text-anchor="end" {text}>{share * top:.3g}</text>' for share in (0, 0.5, 1)]
    frame = f'<path d="M{_x(0)} {_y(1)}V{_y(0)}H{_x(1)}" fill="none" stroke="{SOFT}"/>'
    names = [
        f'<text x="{_SIZE / 2}" y="16" text-anchor="middle" font-weight="bold" {text}>{escape(title)}</text>',
        f'<text x="{_x(0.5)}" y="{_SIZE - 10}" text-anchor="middle" {text}>{escape(across)}</text>',
        f'<text x="14" y="{_SIZE / 2}" text-anchor="middle" transform="rotate(-90 14 {_SIZE / 2})" {text}>{escape(up)}</text>',
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIZE} {_SIZE}" width="{_SIZE}" font-family="sans-serif" role="img" '
    head += f'aria-label="{escape(title)}">'
    return "\n".join([head, frame, *ticks, *names, *content, "</svg>"])


def _curve(across: Sequence[float] | npt.NDArray[np.float64], up: npt.NDArray[np.float64]) -> str:
    points = " ".join(f"{_x(float(x)):.1f},{_y(float(y)):.1f}" for x, y in zip(across, up, strict=True))
    return f'<polyline points="{points}" fill="none" stroke="{_LINE}" stroke-width="2"/>'


def calibration(found: Answers, bins: int = 10) -> str:
    confidence, right = found.last.max(axis=1), found.last.argmax(axis=1) == found.truth
    which = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    dots = []
    for index in range(bins):
        inside = which == index
        if inside.any():
            radius = 2 + 8 * np.sqrt(inside.mean())
            place = f'cx="{_x(float(confidence[inside].mean())):.1f}" cy="{_y(float(right[inside].mean())):.1f}"'
            dots.append(f'<circle {place} r="{radius:.1f}" fill="{_LINE}" fill-opacity="0.7"/>')
    diagonal = f'<path d="M{_x(0)} {_y(0)}L{_x(1)} {_y(1)}" stroke="{SOFT}" stroke-dasharray="4 3"/>'
    return _framed("Calibration", "probability that the model gives", "share that is right", [diagonal, *dots])


def _by_coverage(found: Answers) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Coverage, and the share of errors among what is covered, when the surest answers are taken first."""
    order = np.argsort(-found.last.max(axis=1), kind="stable")
    wrong = (found.last.argmax(axis=1) != found.truth)[order]
    counts = np.arange(1, len(wrong) + 1)
    return counts / len(wrong), np.cumsum(wrong) / counts


def risk_coverage(found: Answers) -> str:
    coverage, risk = _by_coverage(found)
    top = max(float(risk.max()), 0.01)
    return _framed("Risk and coverage", "share decided automatically", "share of these that is wrong", [_curve(coverage, risk / top)], top)


def cost_coverage(found: Answers) -> str:
    coverage, risk = _by_coverage(found)
    cost = (1 - coverage) * REVIEW_COST + coverage * risk * ERROR_COST
    top = max(float(cost.max()), 0.01)
    title = f"Cost of a case: review {REVIEW_COST}, error {ERROR_COST}"
    return _framed(title, "share decided automatically", "review and errors", [_curve(coverage, cost / top)], top)
