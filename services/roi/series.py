"""A period's figures bucket by bucket, for each automation and for all of them together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.roi import figures
from services.roi.schemas import Point, Series
from services.roi.valuation import Flow, amount
from shared.measure.parts import Parts, together

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from services.roi.figures import Account
    from services.roi.valuation import Valuation
    from shared.measure.baselines import Grade


@dataclass(slots=True)
class _Mix:
    """Cases of one bucket by who decided them."""

    control: int = 0
    human: int = 0
    automatic: int = 0


@dataclass(frozen=True, slots=True)
class _Cut:
    """What is shown of each bucket, in the order of the buckets."""

    cases: Sequence[_Mix]
    estimates: Parts
    money: Sequence[Flow]


def series(accounts: Iterable[Account], starts: Sequence[datetime], prices: Valuation, min_grade: Grade) -> list[Series]:
    """All automations together first; one point for every start."""
    places: dict[datetime | None, int] = {start: place for place, start in enumerate(starts)}
    cuts = {account.automation: _cut(account, places, prices, min_grade) for account in accounts}
    shown = [(None, _together(list(cuts.values()), len(starts))), *cuts.items()]
    return [Series(automation=automation, points=_points(cut, starts)) for automation, cut in shown]


def _cut(account: Account, places: Mapping[datetime | None, int], prices: Valuation, min_grade: Grade) -> _Cut:
    cases = [_Mix() for _ in places]
    for row in account.buckets:
        mix = cases[places[row.bucket]]
        mix.control += row.control
        mix.human += row.human
        mix.automatic += row.automatic
    flows = prices.flows(figures.credited(account.money, min_grade))
    money = [flows.get(start, Flow()) for start in places]
    return _Cut(cases, figures.cut(account, places, len(places), min_grade), money)


def _together(cuts: Sequence[_Cut], size: int) -> _Cut:
    cases = [_Mix() for _ in range(size)]
    money = [Flow() for _ in range(size)]
    for cut in cuts:
        for mix, own, flow, added in zip(cases, cut.cases, money, cut.money, strict=True):
            mix.control += own.control
            mix.human += own.human
            mix.automatic += own.automatic
            flow.cost += added.cost
            flow.cash += added.cash
    return _Cut(cases, together((cut.estimates for cut in cuts), size), money)


def _points(cut: _Cut, starts: Sequence[datetime]) -> list[Point]:
    return [
        Point(
            start=start,
            cases=figures.mixed(mix.control, mix.human, mix.automatic),
            seconds=figures.interval(ends),
            total_cost=amount(flow.cost),
            cash=amount(flow.cash),
        )
        for start, mix, ends, flow in zip(starts, cut.cases, cut.estimates.ends(), cut.money, strict=True)
    ]
