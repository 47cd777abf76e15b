"""Seconds saved with what is known of each case beforehand taken into account, beside the plain estimate: from the same sums."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from services.roi.answers.evidence_schemas import Adjustment
from services.roi.schemas import Interval
from shared.measure.adjusted import Cell, Products, adjusted
from shared.measure.baselines import Grade
from shared.measure.rounding import outwards

if TYPE_CHECKING:
    from collections.abc import Iterable

    from services.roi.facts import CaseSum
    from services.roi.figures import Account

_DIGITS = Decimal("0.001")
_SHARE = Decimal("0.0001")


def adjustment(account: Account) -> Adjustment | None:
    """None without a concurrent control group of at least 50 cases, and where no case has a covariate."""
    plain = account.estimate
    if plain.grade is not Grade.A or plain.low is None or plain.high is None or not any(row.covariate2 for row in account.cases):
        return None
    found = adjusted(cells(account.cases))
    if found is None:
        return None
    width = plain.high - plain.low
    return Adjustment(
        unadjusted=_interval(plain.low, plain.point or 0.0, plain.high),
        adjusted=_interval(found.low, found.point, found.high),
        width_ratio=_rounded((found.high - found.low) / width, _SHARE) if width > 0 else None,
        slope=_rounded(found.slope, _DIGITS),
        explained=_rounded(found.explained, _SHARE),
        undrawn_cases=sum(row.cases for row in account.cases if row.arm == "automated" and row.share == 0),
    )


def cells(rows: Iterable[CaseSum]) -> list[Cell]:
    """Decided cases by stratum and control share."""
    arms: dict[tuple[str, Decimal], dict[str, Products]] = {}
    for row in rows:
        cell = arms.setdefault((row.stratum, row.share), {})
        cell[row.arm] = cell.get(row.arm, Products()) + _products(row)
    return [Cell(stratum, float(share), **parts) for (stratum, share), parts in arms.items()]


def _products(row: CaseSum) -> Products:
    return Products(
        n=row.cases,
        y=float(row.seconds),
        yy=float(row.squares),
        x=float(row.covariate),
        xx=float(row.covariate2),
        xy=float(row.covariate_seconds),
    )


def _interval(low: float, point: float, high: float) -> Interval:
    return Interval(**outwards((low, point, high), _DIGITS))


def _rounded(value: float, digits: Decimal) -> Decimal:
    return Decimal(repr(value)).quantize(digits)
