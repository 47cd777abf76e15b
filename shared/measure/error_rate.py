"""How often automatic decisions were wrong and what that cost, from sums over their audits.

Expected: the point estimate times the loss of one error. Conservative: the always-valid upper bound times that loss, which is what a
careful figure charges: as long as little was audited, little is known, and the bound says so.

Drawn decisions that wait for their second look say nothing, and neither do those that they were drawn for: what was judged stands for its
share of all decisions, each weighted by 1/probability, because what was likely to be drawn stands for few. That takes looks for being done
in turn, so at the lower end what waits, or is disputed, counts as right all the same; at the upper one what is disputed counts as wrong.
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
        disputed: of the others, those where two answers differ; the rest waits.
        wrong: found wrong.
        weighted, weighted_drawn, weighted_done, weighted_disputed: sums of 1/probability over those that were found wrong, were drawn, are
            done, are disputed.
        least: the least probability of all decisions; None where there is none.
    """

    decisions: int = 0
    drawn: int = 0
    done: int = 0
    disputed: int = 0
    wrong: int = 0
    weighted: Decimal = Decimal(0)
    weighted_drawn: Decimal = Decimal(0)
    weighted_done: Decimal = Decimal(0)
    weighted_disputed: Decimal = Decimal(0)
    least: Decimal | None = None

    @property
    def booked(self) -> Decimal:
        """Share of wrong decisions that error lines charge: what waits for its second look is in none of them yet."""
        return min(self.weighted / self.decisions, Decimal(1)) if self.decisions else Decimal(0)

    def standing_for(self, looked_at: Decimal) -> float:
        """Decisions that drawn ones with this sum of 1/probability stand for: all where none waits, none where no weight is known."""
        if not self.drawn:
            return float(self.decisions)
        return float(self.decisions * looked_at / self.weighted_drawn) if self.weighted_drawn else 0.0


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
    """None before the first decision that could be drawn, and while none of those that were drawn is judged."""
    return error_rates([sums])[0]


def error_rates(several: Sequence[AuditSums]) -> list[ErrorRate | None]:
    """As `error_rate`, of each by itself; those with one least probability cost hardly more together than one alone."""
    found: list[ErrorRate | None] = [None] * len(several)
    for least in {sums.least for sums in several if sums.least is not None}:
        places = [place for place, sums in enumerate(several) if sums.least == least and sums.standing_for(sums.weighted_done) > 0]
        looks = [look for place in places for look in _looks(several[place])]
        decisions, weighted = np.array(looks, dtype=np.float64).reshape(-1, 2).T
        held = bounds(Looks(decisions, weighted, float(least)))
        for number, place in enumerate(places):
            low, point, high = (float(ends[3 * number + look]) for look, ends in enumerate((held.low, held.point, held.high)))
            found[place] = ErrorRate(low, point, high)
    return found


def _looks(sums: AuditSums) -> list[tuple[float, float]]:
    """Decisions and weighted errors for the lower end, the point and the upper end."""
    weighted = float(sums.weighted)
    upper = sums.standing_for(sums.weighted_done + sums.weighted_disputed), float(sums.weighted + sums.weighted_disputed)
    return [(float(sums.decisions), weighted), (sums.standing_for(sums.weighted_done), weighted), upper]


def error_cost(sums: AuditSums, loss: Money) -> ErrorCost | None:
    """What errors of all these decisions cost, rounded to the minor unit; None where nothing is known."""
    rate = error_rate(sums)
    if rate is None:
        return None
    expected, conservative = (loss * (Decimal(repr(share)) * sums.decisions) for share in (rate.point, rate.high))
    return ErrorCost(expected.rounded(), conservative.rounded())
