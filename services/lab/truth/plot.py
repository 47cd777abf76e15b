"""One deployment day by day as an SVG: the truth, the always-valid interval and the fixed-time one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from services.lab.truth.deployments import PLANNED_DAYS, YEAR, deploy, terms
from services.lab.truth.judging import fixed_interval
from shared.measure.mixture import Floats
from shared.measure.sequence import saved

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 860, 420, 64, 48, 56
_INK, _SOFT, _BAND, _LINE = "#1f2933", "#7b8794", "#c7d8f0", "#2f5d9b"


def one_deployment(seed: int) -> str:
    """Minutes saved per automated case so far, because on a plot of totals the early days could not be seen."""
    rng = np.random.default_rng(seed)
    drawn = replace(terms(rng), volume=80.0, share=0.10, deviation=0.85, saves=True, crossovers=0.02)
    made = deploy(rng, drawn)
    found = saved(made.days, planned=drawn.planned)
    per_case = 60 * np.cumsum(made.days.automated.sum(axis=1))
    fixed = np.array([fixed_interval(made.days, day) for day in range(YEAR)]).T / per_case
    return _draw(made.truth / per_case, (found.low / per_case, found.high / per_case), (fixed[0], fixed[1]))


def _draw(truth: Floats, always: tuple[Floats, Floats], fixed: tuple[Floats, Floats]) -> str:
    scale = _Scale(0.0, 2 * float(np.ceil(truth[-1])))
    # The first intervals are so wide that nothing else could be seen.
    first = int(((always[0] >= scale.low) & (always[1] <= scale.high)).argmax())
    days = np.arange(YEAR)[first:]
    band = [*scale.points(days, always[0][first:]), *reversed(scale.points(days, always[1][first:]))]
    parts = [
        *_axes(scale),
        f'<polygon points="{" ".join(band)}" fill="{_BAND}"/>',
        *(_line(scale.points(days, edge[first:]), _LINE, "4 3") for edge in fixed),
        _line(scale.points(days, truth[first:]), _INK),
        *_legend(),
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="13">'
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>', *parts, "</svg>", ""])


class _Scale:
    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def x(self, day: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - 16) * day / (YEAR - 1)

    def y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * (value - self.low) / (self.high - self.low)

    def points(self, days: Iterable[float], values: Iterable[float]) -> list[str]:
        return [f"{self.x(day):.1f},{self.y(value):.1f}" for day, value in zip(days, values, strict=True)]


def _line(points: list[str], colour: str, dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="1.6"{dashed}/>'


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{_INK}" text-anchor="{anchor}">{words}</text>'


def _axes(scale: _Scale) -> list[str]:
    step = max(1.0, float(np.ceil((scale.high - scale.low) / 6)))
    values = np.arange(scale.low, scale.high + 0.5, step)
    rows = [f'<path d="M{_LEFT} {scale.y(v):.1f}H{_WIDTH - 16}" stroke="#e4e7eb"/>' for v in values]
    labels = [_text(_LEFT - 8, scale.y(v) + 4, f"{v:.0f}", "end") for v in values]
    ticks = [_text(scale.x(day), _HEIGHT - 26, str(day), "middle") for day in range(0, YEAR, 60)]
    end = scale.x(PLANNED_DAYS)
    planned = f'<path d="M{end:.1f} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="{_SOFT}" stroke-dasharray="2 4"/>'
    return [*rows, *labels, *ticks, planned, _text(end + 6, _TOP + 14, "planned end"), _text(_WIDTH / 2, _HEIGHT - 8, "day", "middle")]


def _legend() -> list[str]:
    return [
        _text(_LEFT, 20, "Minutes saved per automated case so far, in one simulated deployment"),
        f'<rect x="{_LEFT}" y="31" width="22" height="12" fill="{_BAND}"/>',
        _text(_LEFT + 28, 42, "always-valid 95 % interval"),
        f'<path d="M{_LEFT + 220} 37h22" stroke="{_LINE}" stroke-width="1.6" stroke-dasharray="4 3"/>',
        _text(_LEFT + 248, 42, "fixed-time 95 % interval"),
        f'<path d="M{_LEFT + 430} 37h22" stroke="{_INK}" stroke-width="1.6"/>',
        _text(_LEFT + 458, 42, "truth"),
    ]
