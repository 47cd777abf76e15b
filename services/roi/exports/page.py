"""A page to draw on: places in points from the lower left corner, text in the fonts that every reader of PDF has."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import simpleSplit
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

WIDTH, HEIGHT = A4
MARGIN: Final = 48.0
INK, FAINT, RULE = HexColor("#1f2430"), HexColor("#667085"), HexColor("#d0d5dd")
GREEN, AMBER, RED, BLUE = HexColor("#1b7f4d"), HexColor("#a15c00"), HexColor("#b3261e"), HexColor("#2f5fb3")
_MORE: Final = "\u2026"
_REGULAR, _BOLD, _MONO = "Helvetica", "Helvetica-Bold", "Courier"


@dataclass(frozen=True, slots=True)
class Style:
    size: float = 9
    color: Color = INK
    font: str = _REGULAR
    align: Literal["left", "right", "center"] = "left"


PLAIN: Final = Style()
SMALL: Final = Style(7.5, FAINT)
TITLE: Final = Style(11, INK, _BOLD)
CODE: Final = Style(6.6, FAINT, _MONO)


@dataclass(frozen=True, slots=True)
class Box:
    """Part of a page."""

    left: float
    bottom: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def top(self) -> float:
        return self.bottom + self.height


class Sheet:
    """One page of A4. The same drawing gives the same bytes."""

    def __init__(self, title: str) -> None:
        self._bytes = io.BytesIO()
        self.canvas = Canvas(self._bytes, pagesize=A4, invariant=1, pageCompression=1)
        self.canvas.setTitle(encodable(title))
        self.canvas.setCreator("Recoup")

    def text(self, x: float, y: float, text: str, style: Style = PLAIN) -> None:
        self.canvas.setFont(style.font, style.size)
        self.canvas.setFillColor(style.color)
        draw = {"left": self.canvas.drawString, "right": self.canvas.drawRightString, "center": self.canvas.drawCentredString}
        draw[style.align](x, y, encodable(text))

    def paragraph(self, x: float, y: float, width: float, text: str, style: Style = PLAIN, *, most: int | None = None) -> float:
        """Broken into lines, ``most`` of them at most; returns where the next line would stand."""
        lines = simpleSplit(encodable(text), style.font, style.size, width)
        if most is not None and len(lines) > most:
            lines[most - 1 :] = [_cut_short(lines[most - 1], width, style)]
        for line in lines:
            self.text(x, y, line, style)
            y -= style.size * 1.3
        return y

    def line(self, start: tuple[float, float], end: tuple[float, float], color: Color = RULE, width: float = 0.6) -> None:
        self.canvas.setStrokeColor(color)
        self.canvas.setLineWidth(width)
        self.canvas.line(*start, *end)

    def bar(self, box: Box, color: Color) -> None:
        self.canvas.setFillColor(color)
        self.canvas.rect(box.left, box.bottom, box.width, box.height, stroke=0, fill=1)

    def dot(self, x: float, y: float, color: Color, radius: float = 2.4) -> None:
        self.canvas.setFillColor(color)
        self.canvas.circle(x, y, radius, stroke=0, fill=1)

    def finished(self) -> bytes:
        self.canvas.showPage()
        self.canvas.save()
        return self._bytes.getvalue()


def encodable(text: str) -> str:
    """What the standard fonts have no sign for is a question mark."""
    return text.encode("cp1252", "replace").decode("cp1252")


def fitted(text: str, width: float, style: Style) -> str:
    """As much of a name as there is room for; where it is cut, that shows."""
    text = encodable(text)
    if stringWidth(text, style.font, style.size) <= width:
        return text
    while text and stringWidth(text + _MORE, style.font, style.size) > width:
        text = text[:-1]
    return text.rstrip() + _MORE


def _cut_short(line: str, width: float, style: Style) -> str:
    """As many of its words as there is room for, and that there were more."""
    words = line.split()
    while words and stringWidth(" ".join([*words, _MORE]), style.font, style.size) > width:
        words.pop()
    return " ".join([*words, _MORE])


def columns(sheet: Sheet, box: Box, rows: Sequence[tuple[str, str, str]]) -> None:
    """A name, a figure in bold, and what it means, below each other; the first at the top."""
    step = box.height / max(len(rows), 1)
    for number, (name, figure, meaning) in enumerate(rows):
        y = box.top - step * number - 9
        sheet.text(box.left, y, name, SMALL)
        sheet.text(box.left, y - 14, figure, Style(12, INK, _BOLD))
        sheet.text(box.left, y - 24, meaning, Style(6.8, FAINT))
