"""The steps from one moment's figures to another's: pure, one cause after the other, so that their differences add up by themselves.

What a figure owes to a cause depends on the order in which the causes are taken; it is fixed: work at the earlier baselines first, then the
baselines, then the rates.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from services.roi import figures
from services.roi.answers.bridge_schemas import Cause, Figure
from services.roi.facts import MoneySum
from services.roi.valuation import COSTS, Valuation
from shared.measure.baselines import EMPTY, Grade, Moments
from shared.measure.savings import MINIMUM_CONTROL, Fit, estimate, fit

if TYPE_CHECKING:
    from services.roi.facts import Moved, Sides, Standing

Levels = dict[Figure, Decimal]
_MICRO = Decimal("1e-6")
_HOUR = Decimal(3600)
Work = Mapping[tuple[str, str], Moments]


class Known(NamedTuple):
    """One moment: what it knew of the period, cut in two at the hour of the earlier moment, and what held then."""

    sides: Sides
    held: Standing


def steps(before: Known, after: Known, currency: str, min_grade: Grade) -> list[tuple[Cause | None, Levels]]:
    """Every figure before, and after each cause; the last are the figures after."""
    old = Valuation.of(before.held.rates, currency)
    new = Valuation.of(after.held.rates, currency)
    subjects = {(row.automation, row.stratum) for row in [*before.sides.cases, *after.sides.cases]}
    fits, refits = _fits(before, subjects), _fits(after, subjects)
    work, money = list(_work(before, after)), list(_money(before, after))
    causes = (None, Cause.NEW_WORK, Cause.LATE_EVENTS, Cause.CORRECTIONS)
    found: list[tuple[Cause | None, Levels]] = [
        (cause, _levels(_saved(fits, done, min_grade), booked, old, min_grade))
        for cause, done, booked in zip(causes, work, money, strict=True)
    ]
    rebased = _saved(refits, work[-1], min_grade)
    found.append((Cause.BASELINE, _levels(rebased, money[-1], old, min_grade)))
    found.append((Cause.RATES, _levels(rebased, money[-1], new, min_grade)))
    return found


def unconverted(known: Known, currency: str, min_grade: Grade) -> set[str]:
    """Currencies of what a moment's rates do not convert."""
    prices = Valuation.of(known.held.rates, currency)
    return {rest.currency for rest in prices.convert(figures.credited(_booked(known.sides.money), min_grade)).foreign}


def _work(before: Known, after: Known) -> Iterable[Work]:
    """Automated cases and the human seconds on them: before, with new work, with late events, with corrections."""
    done = _automated(before.sides.cases)
    yield done
    for one, other in ((before.sides.recent, after.sides.recent), (before.sides.early, after.sides.early)):
        done = _plus(done, _automated(one.cases, sign=-1, late=False), _automated(other.cases, late=False))
        yield done
    yield _automated(after.sides.cases)


def _automated(rows: Iterable[Moved], *, sign: int = 1, late: bool = True) -> Work:
    """By automation and stratum; ``late`` counts the seconds that came after their case's decision as well."""
    cases: dict[tuple[str, str], int] = defaultdict(int)
    seconds: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        if row.arm == "automated":
            key = (row.automation, row.stratum)
            cases[key] += row.cases
            seconds[key] += row.seconds if late else row.seconds - row.late_seconds
    return {key: Moments(sign * number, float(sign * seconds[key]), 0.0) for key, number in cases.items()}


def _plus(*found: Work) -> Work:
    keys = dict.fromkeys(key for work in found for key in work)
    return {key: sum((work[key] for work in found if key in work), start=EMPTY) for key in keys}


def _money(before: Known, after: Known) -> Iterable[Sequence[MoneySum]]:
    """As `_work`, of all automations and arms together."""
    booked = _booked(before.sides.money)
    yield booked
    for one, other in ((before.sides.recent, after.sides.recent), (before.sides.early, after.sides.early)):
        booked = [*booked, *_booked(one.money, sign=-1, corrected=False), *_booked(other.money, corrected=False)]
        yield booked
    yield _booked(after.sides.money)


def _booked(rows: Iterable[MoneySum], *, sign: int = 1, corrected: bool = True) -> list[MoneySum]:
    """One for each kind, grade and currency; ``corrected`` counts what corrects other lines as well."""
    sums: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        sums[row.kind, row.grade, row.currency] += row.amount if corrected else row.amount - row.reversed
    return [MoneySum("", "", *key, sign * amount, Decimal(0)) for key, amount in sums.items()]


def _fits(known: Known, subjects: AbstractSet[tuple[str, str]]) -> Mapping[str, Fit]:
    """By automation, also of those that have no case yet."""
    strata: dict[str, set[str]] = defaultdict(set)
    for automation, stratum in subjects:
        strata[automation].add(stratum)
    return {automation: _fit(automation, known, own) for automation, own in strata.items()}


def _fit(name: str, known: Known, strata: AbstractSet[str]) -> Fit:
    control = figures.like_automated(row for row in known.sides.cases if row.automation == name)
    if sum(moments.n for moments in control.values()) >= MINIMUM_CONTROL:
        # Strata that were not there yet must not change how the others are grouped; a stored baseline they may have all the same.
        strata = {row.stratum for row in known.sides.cases if row.automation == name and row.arm == "automated"}
    return fit(control, strata, {row.stratum: row.baseline for row in known.held.baselines if row.automation == name})


def _saved(fits: Mapping[str, Fit], work: Work, min_grade: Grade) -> Mapping[str, float]:
    """Seconds by automation; nothing is claimed where there is no baseline."""
    saved: dict[str, float] = {}
    for name in {automation for automation, _ in work} & fits.keys():
        automated = {stratum: moments for (automation, stratum), moments in work.items() if automation == name}
        saved[name] = figures.graded(estimate(fits[name], automated), min_grade).point or 0.0
    return saved


def _levels(saved: Mapping[str, float], money: Sequence[MoneySum], prices: Valuation, min_grade: Grade) -> Levels:
    converted = prices.convert(figures.credited(money, min_grade))
    labour = Decimal(0)
    for name, seconds in saved.items():
        hour = prices.labour(name)
        labour += Decimal(repr(seconds)) / _HOUR * (Decimal(0) if hour is None else hour[0])
    return {
        Figure.SECONDS_SAVED: figures.in_seconds(math.fsum(saved.values())),
        Figure.CASH: converted.sums.get("cash", Decimal(0)).quantize(_MICRO),
        Figure.TOTAL_COST: sum((converted.sums.get(kind, Decimal(0)) for kind in COSTS), Decimal(0)).quantize(_MICRO),
        Figure.LABOUR_VALUE: labour.quantize(_MICRO),
    }
