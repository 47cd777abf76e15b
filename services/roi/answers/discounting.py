"""Money at different times: present value of dated flows, and when an investment is paid back.

A flow ``d`` days after the investment counts ``(1 + r)^(-d/365)``, as dated flows are discounted in corporate finance (R. A. Brealey,
S. C. Myers, F. Allen, "Principles of Corporate Finance", chapter 2) with days over 365 for years.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache

_YEAR = Decimal(365)
WEEK = timedelta(weeks=1)


@dataclass(frozen=True, slots=True)
class Flow:
    """Attributes: on: when it is there; measured: false where it is only expected."""

    on: date
    amount: Decimal
    measured: bool


@lru_cache(maxsize=10_000)
def _growth(rate: Decimal, days: int) -> Decimal:
    """What one becomes; kept, because a power to a fraction is slow and every flow of every stream is discounted several times."""
    return (1 + rate) ** (days / _YEAR)


@dataclass(frozen=True, slots=True)
class Investment:
    """Attributes: rate: per year; end: of the horizon."""

    amount: Decimal
    on: date
    rate: Decimal
    end: date

    def present(self, flow: Flow) -> Decimal:
        """What a flow is worth on the day of the investment; earlier ones count as they are."""
        return flow.amount / _growth(self.rate, max((flow.on - self.on).days, 0))

    def npv(self, flows: Sequence[Flow]) -> Decimal:
        return sum((self.present(flow) for flow in flows), Decimal(0)) - self.amount

    def paid_back(self, flows: Sequence[Flow]) -> Flow | None:
        """The first flow, by date, with which the discounted sum reaches the investment; None where none does.

        A sum that reaches it and falls again counts only from where it stays: what is paid back and lost again is not paid back.
        """
        found: Flow | None = None
        rest = -self.amount
        for flow in sorted(flows, key=lambda flow: flow.on):
            rest += self.present(flow)
            if rest < 0:
                found = None
            elif found is None:
                found = flow
        return found


def continued(flows: Sequence[Flow], per_week: Decimal, after: date, end: date) -> Iterator[Flow]:
    """The measured flows of the horizon, then one at the end of every further week of it."""
    yield from (flow for flow in flows if flow.on <= end)
    on = after + WEEK
    while on <= end:
        yield Flow(on, per_week, measured=False)
        on += WEEK
