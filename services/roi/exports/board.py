"""One page for the board: what was saved at least, on which evidence, what it does not mean, and the seal to check it by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING

from services.roi.exports.page import (
    AMBER,
    CODE,
    FAINT,
    GREEN,
    HEIGHT,
    MARGIN,
    RED,
    SMALL,
    TITLE,
    WIDTH,
    Box,
    Sheet,
    Style,
    columns,
    fitted,
)
from services.roi.exports.plots import Measured, over_time, side_by_side
from shared.measure.integrity import Verdict

if TYPE_CHECKING:
    from services.roi.schemas import Figures, HoursInterval, Summary, Timeseries
    from services.roi.seal_schemas import Seal

NOT_MEANT = (
    "Hours are capacity released, not money and not jobs: they are worth something where somebody uses them.",
    "The lower bound holds however often it is looked at; the best estimate lies above it, and may be missed.",
    "It is about the cases of this period only: not a forecast, and not a promise for other cases.",
    "Labour value is hours at a stated rate. It is never part of cash, and neither is added to the other.",
    "Cash is what was observed, such as a duplicate payment stopped; costs include platform, compute and errors as booked.",
)
_COLORS = {Verdict.SOUND: GREEN, Verdict.DOUBTFUL: AMBER, Verdict.BROKEN: RED}
_MOST_PARTS = 8
# More of them would stand over the figures; the summary has them all.
_HEADLINE_LINES = 4
# Room for the longest period, in points: 30 September 2026 to 30 September 2026, UTC.
_PERIOD = 250.0
_SIMULATED = "SIMULATED: these people do not exist, their clocks may run faster, and nothing of this was saved."
_TENTH = Decimal("0.1")
_CENT = Decimal("0.01")
_CHECK = "Check with `recoup ledger verify` or verify_proof.py."


@dataclass(frozen=True, slots=True)
class Board:
    """Attributes: seal: the newest at the moment of the figures; None before anything was sealed."""

    tenant: str
    name: str
    summary: Summary
    series: Timeseries
    seal: Seal | None


def drawn(board: Board) -> bytes:
    """The page as PDF; the same figures give the same bytes."""
    sheet = Sheet(f"Savings of {board.name}")
    _head(sheet, board)
    _figures(sheet, board.summary)
    _plots(sheet, board)
    _meaning(sheet)
    _seal(sheet, board)
    return sheet.finished()


def _head(sheet: Sheet, board: Board) -> None:
    summary = board.summary
    broken = summary.soundness.integrity is Verdict.BROKEN
    color = AMBER if summary.simulated and not broken else _COLORS[summary.soundness.integrity]
    if summary.simulated:
        sheet.text(MARGIN, HEIGHT - 28, _SIMULATED, Style(9, AMBER, "Helvetica-Bold"))
    sheet.bar(Box(0, HEIGHT - 8, WIDTH, 8), color)
    sheet.text(MARGIN, HEIGHT - 48, fitted(board.name, WIDTH - 2 * MARGIN - _PERIOD, TITLE), TITLE)
    until = summary.end - timedelta(seconds=1)
    sheet.text(WIDTH - MARGIN, HEIGHT - 48, f"{summary.start:%d %B %Y} to {until:%d %B %Y}, UTC", Style(9, FAINT, align="right"))
    at_least = summary.total.saved.at_least_hours.quantize(_TENTH, ROUND_FLOOR)
    certain = f"At least {at_least:,} hours saved" if at_least > 0 else "No saving is shown for certain"
    claim = "No saving is shown" if broken else certain
    sheet.text(MARGIN, HEIGHT - 88, claim, Style(26, color, "Helvetica-Bold"))
    sheet.paragraph(MARGIN, HEIGHT - 108, WIDTH - 2 * MARGIN, summary.headline, Style(9, FAINT), most=_HEADLINE_LINES)


def _figures(sheet: Sheet, summary: Summary) -> None:
    saved, money, cases = summary.total.saved, summary.total.money, summary.total.cases
    left = [
        ("Best estimate", _hours(saved.hours.point), "automated cases x manual time, less time people spent on them"),
        ("Interval, valid at every look", _span(saved.always_valid), "95 %; the lower end is the headline"),
        ("Interval, valid at one look", _span(saved.hours), "95 %; for a moment that was chosen beforehand"),
        ("Evidence", f"Grade {saved.grade.value}" if saved.grade else "none", "A: randomised control; B: log; C: study; D: declared"),
    ]
    right = [
        ("Labour value, at least", _labour(summary), "capacity, not cash"),
        ("Cash observed", _money(money.cash, summary.currency), "only what was seen to happen"),
        ("Total cost", _money(money.total_cost, summary.currency), "platform, compute, remote models, errors"),
        ("Cases", f"{cases.total:,}", f"{cases.automated:,} by a tier, {cases.human:,} by people, {cases.control:,} held out"),
    ]
    half = (WIDTH - 2 * MARGIN - 24) / 2
    columns(sheet, Box(MARGIN, HEIGHT - 330, half, 180), left)
    columns(sheet, Box(MARGIN + half + 24, HEIGHT - 330, half, 180), right)
    if left_out := sorted({rest.currency for rest in money.unconverted}):
        notice = f"Money in {', '.join(left_out)} is in no figure: no dated rate converts it to {summary.currency}."
        sheet.paragraph(MARGIN, HEIGHT - 333, WIDTH - 2 * MARGIN, notice, Style(7.5, AMBER), most=1)


def _plots(sheet: Sheet, board: Board) -> None:
    top = HEIGHT - 350
    sheet.text(MARGIN, top, f"Hours saved per {board.series.bucket}", TITLE)
    sheet.text(WIDTH - MARGIN, top, "bars: estimate; lines: 95 % interval at one look", Style(7, FAINT, align="right"))
    points = [
        Measured(f"{point.start:%d %b}", *(_in_hours(end) for end in (point.seconds.low, point.seconds.point, point.seconds.high)))
        for point in board.series.series[0].points
    ]
    # A red figure has no green bars, nor has one of what nobody saved.
    gain = FAINT if board.summary.simulated or board.summary.soundness.integrity is Verdict.BROKEN else GREEN
    over_time(sheet, Box(MARGIN + 26, top - 118, WIDTH - 2 * MARGIN - 26, 102), points, gain)
    sheet.text(MARGIN, top - 150, "By automation, hours", TITLE)
    every = sorted(board.summary.automations, key=_size, reverse=True)
    parts = [_part(figures) for figures in every[:_MOST_PARTS]]
    height = 16.0 * max(len(parts), 1)
    box = Box(MARGIN + 110, top - 162 - height, WIDTH - 2 * MARGIN - 110, height)
    side_by_side(sheet, box, parts)
    if rest := len(every) - len(parts):
        sheet.text(box.left - 6, box.bottom - 10, f"and {rest} more", Style(8, FAINT, align="right"))


def _meaning(sheet: Sheet) -> None:
    y = 168.0
    sheet.text(MARGIN, y, "What this does not mean", TITLE)
    y -= 14
    for sentence in NOT_MEANT:
        sheet.dot(MARGIN + 2, y + 2.6, FAINT, 1.2)
        y = sheet.paragraph(MARGIN + 10, y, WIDTH - 2 * MARGIN - 10, sentence, Style(8, FAINT))


def _seal(sheet: Sheet, board: Board) -> None:
    sheet.line((MARGIN, 74), (WIDTH - MARGIN, 74))
    summary, seal = board.summary, board.seal
    through = f"{summary.computed_through:%Y-%m-%d %H:%M:%S} UTC"
    sheet.text(MARGIN, 62, f"Tenant {board.tenant}. Computed through {through}; evidence {summary.min_grade.value} or better.", SMALL)
    if seal is None:
        sheet.text(MARGIN, 50, "The ledger is not sealed yet.", SMALL)
        return
    sheet.text(MARGIN, 50, f"Ledger seal {seal.n} of {seal.sealed_at}, {seal.size:,} entries. {_CHECK}", SMALL)
    sheet.text(MARGIN, 38, f"root {seal.root}", CODE)
    sheet.text(MARGIN, 29, f"hash {seal.hash}", CODE)


def _size(figures: Figures) -> Decimal:
    """A large loss is as large as a large saving; what has no figure comes last."""
    point = figures.saved.hours.point
    return Decimal(-1) if point is None else abs(point)


def _part(figures: Figures) -> Measured:
    saved = figures.saved.always_valid or figures.saved.hours
    low, point, high = (None if end is None else float(end) for end in (saved.low, saved.point, saved.high))
    return Measured(figures.automation or "", low, point, high)


def _hours(value: Decimal | None) -> str:
    return "not known" if value is None else f"{value:,.1f} h"


def _span(interval: HoursInterval | None) -> str:
    if interval is None or interval.low is None or interval.high is None:
        return "not known"
    # Outwards: a rounded interval covers no less than the one that was computed.
    return f"{interval.low.quantize(_TENTH, ROUND_FLOOR):,} to {interval.high.quantize(_TENTH, ROUND_CEILING):,} h"


def _labour(summary: Summary) -> str:
    """What the hours are worth at least; where that is not known, why."""
    value = summary.total.money.labour_value
    if not summary.automations or summary.total.saved.hours.point is None:
        return "not known"
    if value is None:
        return "no dated rate"
    # To whole cents downwards, so that "at least" stays true.
    return "no lower bound" if value.low is None else _money(value.low.quantize(_CENT, ROUND_FLOOR), summary.currency)


def _money(value: Decimal, currency: str) -> str:
    return f"{value:,.2f} {currency}"


def _in_hours(seconds: Decimal | None) -> float | None:
    return None if seconds is None else float(seconds) / 3600
