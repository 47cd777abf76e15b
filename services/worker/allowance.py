"""What is left of a budget, and whether one more tier fits into it: pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from services.worker.tiers import NOTHING, UNLIMITED, Budget, Terms, Usage
from shared.money import Money

_NANOSECONDS_AN_HOUR: Final = Decimal(3_600_000_000_000)


def total(usages: Iterable[Usage]) -> Usage:
    """Raises ValueError where money of two currencies would be added."""
    cpu_ns = wall_ns = tokens = 0
    money: Money | None = None
    for usage in usages:
        cpu_ns, wall_ns, tokens = cpu_ns + usage.cpu_ns, wall_ns + usage.wall_ns, tokens + usage.tokens
        money = usage.money if money is None else money if usage.money is None else money + usage.money
    return Usage(cpu_ns=cpu_ns, wall_ns=wall_ns, tokens=tokens, money=money)


def price(usage: Usage, cpu_hour: Money | None) -> list[Money]:
    """Its CPU time at ``cpu_hour``, where that is known, and what was paid: in whatever currencies these are."""
    compute = [] if cpu_hour is None else [Money(cpu_hour.amount * usage.cpu_ns / _NANOSECONDS_AN_HOUR, cpu_hour.currency)]
    return compute if usage.money is None else [*compute, usage.money]


def affords(terms: Terms, spent: Iterable[Usage], needs: Usage) -> bool:
    """Whether a case that has ``spent`` so much has enough left for a tier that ``needs`` so much.

    Money in another currency than the budget's cannot be compared with it without a dated rate, so it never fits.
    """
    if terms.budget == UNLIMITED or needs == NOTHING:
        return True
    usages = [*spent, needs]
    seconds, money = terms.budget.seconds, terms.budget.money
    if seconds is not None and sum(usage.wall_ns for usage in usages) > seconds * 1e9:
        return False
    return money is None or _within(money, [part for usage in usages for part in price(usage, terms.cpu_hour)])


def purse(terms: Terms, spent: Iterable[Usage]) -> Money | None:
    """What a case that has ``spent`` so much has left of its money, never below zero; None: no limit."""
    limit = terms.budget.money
    if limit is None:
        return None
    parts = [part for usage in spent for part in price(usage, terms.cpu_hour)]
    used = sum((part.amount for part in parts), Decimal(0))
    return Money(max(Decimal(0), limit.amount - used) if _within(limit, parts) else Decimal(0), limit.currency)


def _within(limit: Money, parts: Iterable[Money]) -> bool:
    known = [part for part in parts if part.amount]
    if any(part.currency != limit.currency for part in known):
        return False
    return sum((part.amount for part in known), Decimal(0)) <= limit.amount


def left(budget: Budget, used: Iterable[Usage]) -> Budget:
    """What a batch may still take after it has ``used`` so much; never below zero."""
    if budget == UNLIMITED:
        return budget
    usages = list(used)
    seconds = None if budget.seconds is None else max(0.0, budget.seconds - sum(usage.wall_ns for usage in usages) / 1e9)
    return Budget(seconds, _rest(budget.money, usages))


def _rest(money: Money | None, used: Iterable[Usage]) -> Money | None:
    if money is None:
        return None
    paid = sum((usage.money.amount for usage in used if usage.money is not None and usage.money.currency == money.currency), Decimal(0))
    return Money(max(Decimal(0), money.amount - paid), money.currency)
