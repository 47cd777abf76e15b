"""What was said for which truth, as SVG with the names of labels on its axes."""

from __future__ import annotations

from html import escape
from typing import Final

import numpy as np

from services.lab.answers import Answers
from services.lab.plots import INK, SOFT

_FILL: Final = "47,93,155"
_MOST_LABELS: Final = 30
# Of a name that is shown; all of it stands where the pointer rests, and in the table of labels.
_MOST_LETTERS: Final = 22
_NAMES, _TOP, _WIDEST, _NARROWEST = 150, 48, 48, 15
# Narrower squares have no room for a figure.
_FIGURED: Final = 34


def confusion(found: Answers) -> str:
    """The most frequent labels; a row is the truth and sums to 100 %, a column is what was said."""
    counts = np.bincount(found.truth, minlength=len(found.pack.labels))
    shown = np.argsort(-counts, kind="stable")[:_MOST_LABELS]
    said = found.last.argmax(axis=1)
    side = max(_NARROWEST, min(_WIDEST, 300 // len(shown)))
    across = _NAMES + side * len(shown)
    parts = [_text(across / 2, 16, "Confusion", "middle", 'font-weight="bold"')]
    parts.append(_text(across / 2, 34, f"rows: truth, columns: what was said{_rest(found, len(shown))}", "middle"))
    for row, truth in enumerate(shown):
        inside = found.truth == truth
        parts.append(_name(_NAMES - 6, _TOP + side * row + side / 2 + 4, found.pack.labels[truth]))
        for column, label in enumerate(shown):
            share = float((said[inside] == label).mean()) if inside.any() else 0.0
            if share > 0:
                about = f"{found.pack.labels[truth]} said as {found.pack.labels[label]}: {share:.1%}"
                parts.append(_square(_NAMES + side * column, _TOP + side * row, side, share, about))
    low = _TOP + side * len(shown)
    parts += [
        _name(_NAMES + side * (column + 0.5) + 4, low + 8, found.pack.labels[label], turned=True) for column, label in enumerate(shown)
    ]
    parts.append(f'<path d="M{_NAMES} {_TOP}V{low}H{across}" fill="none" stroke="{SOFT}"/>')
    size = f'viewBox="0 0 {across + 4} {low + _NAMES}" width="{across + 4}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" role="img" aria-label="Confusion of labels">'
    return "\n".join([head, *parts, "</svg>"])


def _rest(found: Answers, shown: int) -> str:
    labels = len(found.pack.labels)
    return f"; the {shown} most frequent of {labels} labels" if labels > shown else ""


def _square(x: float, y: float, side: float, share: float, about: str) -> str:
    drawn = f'<rect x="{x}" y="{y}" width="{side}" height="{side}" fill="rgba({_FILL},{share:.3f})"><title>{escape(about)}</title></rect>'
    if side < _FIGURED:
        return drawn
    color = 'fill="#fff"' if share > 0.5 else f'fill="{INK}"'
    figure = f"{share:.0%}" if share >= 0.01 else "&lt;1%"
    place = f'x="{x + side / 2}" y="{y + side / 2 + 4}" text-anchor="middle"'
    return f'{drawn}<text {place} font-size="11" pointer-events="none" {color}>{figure}</text>'


def _name(x: float, y: float, label: str, *, turned: bool = False) -> str:
    short = label if len(label) <= _MOST_LETTERS else f"{label[: _MOST_LETTERS - 1]}\u2026"
    turn = f' transform="rotate(-90 {x} {y})"' if turned else ""
    # A name from right to left would begin where others end.
    style = f'text-anchor="end" font-size="11" fill="{INK}" direction="ltr" unicode-bidi="plaintext"'
    return f'<text x="{x}" y="{y}" {style}{turn}><title>{escape(label)}</title>{escape(short)}</text>'


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="12" fill="{INK}" {more}>{escape(text)}</text>'
