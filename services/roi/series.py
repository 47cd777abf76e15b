"""A period's figures bucket by bucket, for each automation and for all of them together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from services.roi import figures
from services.roi.schemas import Point, Series
from services.roi.valuation import Flow, amount
from shared.measure.parts import Parts, parts, together

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from services.roi.figures import Account
    from services.roi.valuation import Valuation
    from shared.measure.baselines import Grade
    from shared.measure.mixture import Floats


@dataclass(frozen=True, slots=True)
class _Cut:
    """What is shown of each bucket, in the order of the buckets.

    Attributes:
        cases: of shape (3, buckets): of the control arm, decided by a person, and the others.
    """

    cases: Floats
    estimates: Parts
    money: Sequence[Flow]


def series(accounts: Iterable[Account], starts: Sequence[datetime], prices: Valuation, min_grade: Grade) -> list[Series]:
    """All automations together first; one point for every start."""
    places = {start: place for place, start in enumerate(starts)}
    cuts = {account.automation: _cut(account, places, prices, min_grade) for account in accounts}
    shown = [(None, _together(list(cuts.values()), len(starts))), *cuts.items()]
    return [Series(automation=automation, points=_points(cut, starts)) for automation, cut in shown]


def _cut(account: Account, places: Mapping[datetime, int], prices: Valuation, min_grade: Grade) -> _Cut:
    size = len(places)
    rows = [(row.stratum, row.placed(places, size)) for row in account.buckets]
    cases = sum((np.array([row.control, row.human, row.automatic]) for _, row in rows), start=np.zeros((3, size)))
    flows = prices.flows(figures.credited(account.money, min_grade))
    money = [flows.get(start, Flow()) for start in places]
    return _Cut(cases, parts(account.fitted, figures.automated(rows), size, min_grade), money)


def _together(cuts: Sequence[_Cut], size: int) -> _Cut:
    money = [Flow() for _ in range(size)]
    for cut in cuts:
        for flow, added in zip(money, cut.money, strict=True):
            flow.cost += added.cost
            flow.cash += added.cash
    return _Cut(sum((cut.cases for cut in cuts), start=np.zeros((3, size))), together((cut.estimates for cut in cuts), size), money)


def _points(cut: _Cut, starts: Sequence[datetime]) -> list[Point]:
    return [
        Point(
            start=start,
            cases=figures.mixed(*map(int, cases)),
            seconds=figures.interval(ends),
            total_cost=amount(flow.cost),
            cash=amount(flow.cash),
        )
        for start, cases, ends, flow in zip(starts, cut.cases.T, cut.estimates.ends(), cut.money, strict=True)
    ]
