"""What a careful figure charges for wrong decisions beyond those that are booked: up to the upper bound of their rate."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from services.roi.valuation import AMOUNT
from shared.measure.error_rate import error_rates
from shared.measure.rounding import at_most

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.roi.facts import Audited
    from services.roi.schemas import Figures, Totals
    from services.roi.valuation import Valuation

Margins = dict[str | None, Decimal | None]


def charged(totals: Totals, audited: Mapping[str, Audited], prices: Valuation) -> dict[str, object]:
    """The totals' fields, with the margin of each automation and of all together."""
    rates = dict(zip(audited, error_rates([found.sums for found in audited.values()]), strict=True))
    margins: Margins = {}
    for figures in totals.automations:
        name = str(figures.automation)
        rate = rates.get(name)
        margins[name] = None if rate is None else _margin(figures, Decimal(repr(rate.high)) - audited[name].sums.booked, prices)
    # A sum that leaves a part out would not be careful.
    parts = [margins[figures.automation] for figures in totals.automations if figures.cases.automated]
    margins[None] = None if not parts or None in parts else sum((part for part in parts if part is not None), Decimal(0))
    return dict(totals) | {
        "total": _with(totals.total, margins),
        "automations": [_with(figures, margins) for figures in totals.automations],
    }


def _margin(figures: Figures, more: Decimal, prices: Valuation) -> Decimal | None:
    """Of a rate beyond the booked one; None where nobody has said what an error costs."""
    loss = prices.loss(str(figures.automation))
    return None if loss is None else at_most(max(more, Decimal(0)) * loss[0] * figures.cases.automated, AMOUNT)


def _with(figures: Figures, margins: Margins) -> Figures:
    money = figures.money.model_copy(update={"error_margin": margins[figures.automation]})
    return figures.model_copy(update={"money": money})
