"""A period's figures bucket by bucket, for each automation and for all of them together."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from services.roi import figures
from services.roi.buckets import placed_apart, seconds_of
from services.roi.schemas import Point, Series
from services.roi.valuation import AMOUNT
from shared.measure.parts import Parts, together

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from services.roi.buckets import Placed
    from services.roi.figures import Account
    from services.roi.valuation import Flows, Valuation
    from shared.measure.baselines import Grade
    from shared.measure.mixture import Floats

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class _Cut:
    """What is shown of each bucket, in the order of the buckets.

    Attributes:
        cases: of shape (3, buckets): of the control arm, decided by a person, and the others.
        money: cost and cash.
        unconverted: as of `Flows`.
    """

    cases: Floats
    estimates: Parts
    money: tuple[list[Decimal], list[Decimal]]
    unconverted: frozenset[str] = frozenset()


def series(accounts: Iterable[Account], starts: Sequence[datetime], prices: Valuation, min_grade: Grade) -> tuple[list[Series], list[str]]:
    """All automations together first, one point for every start; and the currencies that are in no figure."""
    places = {start: place for place, start in enumerate(seconds_of(starts))}
    every = list(accounts)
    cuts = {
        account.automation: _cut(account, found, places, prices.flows(figures.credited(account.flows, min_grade)))
        for account, found in zip(every, placed_apart([account.buckets for account in every], places, len(places)), strict=True)
    }
    shown = [(None, _together(list(cuts.values()), len(starts))), *cuts.items()]
    unconverted = sorted(frozenset[str]().union(*(cut.unconverted for cut in cuts.values())))
    return [Series(automation=automation, points=_points(cut, starts)) for automation, cut in shown], unconverted


def _cut(account: Account, found: Placed, places: Mapping[int, int], flows: Flows) -> _Cut:
    size = len(places)
    cases = np.array([column.sum(axis=0) for column in (found.control, found.human, found.automatic)])
    return _Cut(cases, figures.cut(account, found, size), flows.placed(places, size), frozenset(flows.unconverted))


def _together(cuts: Sequence[_Cut], size: int) -> _Cut:
    cost, cash = ([sum(values, _NOTHING) for values in zip(*found, strict=True)] or [_NOTHING] * size for found in _by_kind(cuts))
    cases = sum((cut.cases for cut in cuts), start=np.zeros((3, size)))
    return _Cut(cases, together((cut.estimates for cut in cuts), size), (cost, cash))


def _by_kind(cuts: Sequence[_Cut]) -> tuple[list[list[Decimal]], list[list[Decimal]]]:
    return [cut.money[0] for cut in cuts], [cut.money[1] for cut in cuts]


def _points(cut: _Cut, starts: Sequence[datetime]) -> list[Point]:
    cases = map(figures.mixed, *cut.cases.astype(np.int64).tolist())
    money = ([value.quantize(AMOUNT) for value in values] for values in cut.money)
    return list(map(Point, starts, cases, figures.intervals(cut.estimates.ends()), *money))
