"""How often automatic decisions were wrong and what that cost, from sums over their audits.

Expected: the point estimate times the loss of one error. Conservative: the always-valid upper bound times that loss, which is what a
careful figure charges: as long as little was audited, little is known, and the bound says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from shared.measure.audit import Looks, bounds
from shared.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSums:
    """One automation's automatic decisions that could have been drawn.

    Attributes:
        decisions: how many.
        drawn: of these, for a second look.
        done: of these, found right or wrong for good.
        disputed: of the others, those where two answers differ.
        wrong: found wrong; ``weighted`` is the sum of their 1/probability.
        probability: sum over ``decisions`` of the probability of being drawn.
        least: the least one of these; None where there is no decision.
    """

    decisions: int = 0
    drawn: int = 0
    done: int = 0
    disputed: int = 0
    wrong: int = 0
    weighted: Decimal = Decimal(0)
    probability: Decimal = Decimal(0)
    least: Decimal | None = None

    @property
    def settled(self) -> int:
        """Decisions but for those that were drawn and are not judged yet: about these nothing is known."""
        return self.decisions - (self.drawn - self.done)


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Share of wrong decisions with its always-valid bounds, 0..1."""

    low: float
    point: float
    high: float


@dataclass(frozen=True, slots=True)
class ErrorCost:
    """``expected`` is what the ledger's `error` lines estimate case by case; a careful figure charges ``more`` in addition to them."""

    expected: Money
    conservative: Money

    @property
    def more(self) -> Money:
        """What the conservative figure charges beyond the expected loss."""
        return self.conservative - self.expected


def error_rate(sums: AuditSums) -> ErrorRate | None:
    """None before the first decision that could be drawn."""
    return error_rates([sums])[0]


def error_rates(several: Sequence[AuditSums]) -> list[ErrorRate | None]:
    """As `error_rate`, of each by itself; those with one least probability cost hardly more together than one alone."""
    found: list[ErrorRate | None] = [None] * len(several)
    for least in {sums.least for sums in several if sums.least is not None}:
        places = [place for place, sums in enumerate(several) if sums.least == least and sums.settled > 0]
        decisions, weighted = (
            np.array([float(getattr(several[place], name)) for place in places], dtype=np.float64) for name in ("settled", "weighted")
        )
        held = bounds(Looks(decisions, weighted, float(least)))
        for number, place in enumerate(places):
            found[place] = ErrorRate(float(held.low[number]), float(held.point[number]), float(held.high[number]))
    return found


def error_cost(sums: AuditSums, loss: Money) -> ErrorCost | None:
    """What errors of all these decisions cost, rounded to the minor unit; None where nothing is known."""
    rate = error_rate(sums)
    if rate is None:
        return None
    expected, conservative = (loss * (Decimal(repr(share)) * sums.decisions) for share in (rate.point, rate.high))
    return ErrorCost(expected.rounded(), conservative.rounded())
