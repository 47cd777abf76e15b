"""Money in one currency, at dated rates; what has no rate is named, never guessed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import repeat
from operator import add
from typing import TYPE_CHECKING

from services.roi.schemas import Foreign, LabourValue, Rate
from shared.measure.rounding import outwards

if TYPE_CHECKING:
    from services.roi.buckets import MoneyBuckets
    from services.roi.facts import DatedRate, MoneySum
    from shared.measure.savings import Estimate
    from shared.measure.sequence import Bounds

CASH = "cash"
COSTS = ("compute", "remote_model", "platform", "error")
LABOUR = "labour_hour"
LOSS = "loss_per_error"
EVERY_AUTOMATION = "*"
# Compute of a single case is far below a minor unit.
AMOUNT = Decimal("1e-6")
_SECONDS_PER_HOUR = Decimal(3600)
_NOTHING, _ONE = Decimal(0), Decimal(1)


def amount(value: Decimal) -> Decimal:
    return value.quantize(AMOUNT)


@dataclass(frozen=True, slots=True)
class Converted:
    """Attributes: sums: by kind, in the currency asked for; foreign: what could not be converted; used: rates that were needed."""

    sums: Mapping[str, Decimal]
    foreign: tuple[Foreign, ...]
    used: tuple[DatedRate, ...]

    @property
    def cost(self) -> Decimal:
        return sum((self.sums.get(kind, Decimal(0)) for kind in COSTS), Decimal(0))


@dataclass(frozen=True, slots=True)
class Flows:
    """Money in the currency asked for: parts of it, each by the start of its bucket.

    Attributes:
        unconverted: currencies of what could not be converted, and is left out.
    """

    cost: Sequence[Mapping[int, Decimal]]
    cash: Sequence[Mapping[int, Decimal]]
    unconverted: tuple[str, ...]

    def placed(self, places: Mapping[int, int], size: int) -> tuple[list[Decimal], list[Decimal]]:
        """Cost and cash, added up by place as in `placed` of buckets."""
        return _placed(self.cost, places, size), _placed(self.cash, places, size)


@dataclass(frozen=True, slots=True)
class Valuation:
    """Dated rates of one moment and the currency of the answer."""

    rates: Mapping[tuple[str, str], DatedRate]
    currency: str

    @classmethod
    def of(cls, rates: Iterable[DatedRate], currency: str) -> Valuation:
        return cls({(rate.name, rate.automation): rate for rate in rates}, currency)

    def convert(self, sums: Iterable[MoneySum]) -> Converted:
        converted: dict[str, Decimal] = defaultdict(Decimal)
        foreign: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        used: dict[str, DatedRate] = {}
        for money in sums:
            factor, rate = self._factor(money.currency)
            if factor is None:
                foreign[money.kind, money.currency] += money.amount
                continue
            converted[money.kind] += money.amount * factor
            if rate is not None:
                used[rate.name] = rate
        rest = (Foreign(kind=kind, currency=currency, amount=amount(value)) for (kind, currency), value in sorted(foreign.items()))
        return Converted(converted, tuple(rest), tuple(used.values()))

    def flows(self, sums: Iterable[MoneyBuckets]) -> Flows:
        """As `convert`, for each bucket."""
        cost: list[Mapping[int, Decimal]] = []
        cash: list[Mapping[int, Decimal]] = []
        foreign: set[str] = set()
        for money in sums:
            factor, _ = self._factor(money.currency)
            amounts = money.by_bucket()
            if factor is None:
                # Of each by itself: cash that is as large as a cost is left out all the same.
                foreign |= {money.currency} if any(amounts.values()) else set()
            elif money.kind == CASH or money.kind in COSTS:
                found = cash if money.kind == CASH else cost
                found.append(amounts if factor == _ONE else {bucket: value * factor for bucket, value in amounts.items()})
        return Flows(cost, cash, tuple(sorted(foreign)))

    def labour(self, automation: str) -> tuple[Decimal, tuple[DatedRate, ...]] | None:
        """Price of an hour and the rates behind it; None where none is known in this currency."""
        return self._price(LABOUR, automation)

    def loss(self, automation: str) -> tuple[Decimal, tuple[DatedRate, ...]] | None:
        """What one wrong automatic decision costs, as `labour`."""
        return self._price(LOSS, automation)

    def _price(self, name: str, automation: str) -> tuple[Decimal, tuple[DatedRate, ...]] | None:
        rate = self.rates.get((name, automation)) or self.rates.get((name, EVERY_AUTOMATION))
        if rate is None or rate.currency is None:
            return None
        factor, exchange = self._factor(rate.currency)
        return None if factor is None else (rate.value * factor, (rate,) if exchange is None else (rate, exchange))

    def _factor(self, currency: str) -> tuple[Decimal | None, DatedRate | None]:
        if currency == self.currency:
            return Decimal(1), None
        there = self.rates.get((f"fx:{currency}:{self.currency}", EVERY_AUTOMATION))
        if there is not None:
            return there.value, there
        back = self.rates.get((f"fx:{self.currency}:{currency}", EVERY_AUTOMATION))
        return (1 / back.value, back) if back is not None and back.value > 0 else (None, None)


def _placed(parts: Iterable[Mapping[int, Decimal]], places: Mapping[int, int], size: int) -> list[Decimal]:
    sums = [_NOTHING] * len(places)
    for part in parts:
        # Without a step of Python for each bucket: two years of several automations have thousands.
        sums = list(map(add, sums, map(part.get, places, repeat(_NOTHING))))
    found = [_NOTHING] * size
    for place, value in zip(places.values(), sums, strict=True):
        found[place] += value
    return found


def labour_value(estimate: Estimate, hour: Decimal, floor: float, held: Bounds | None) -> LabourValue:
    """Hours saved at ``hour`` each.

    Args:
        floor: what is claimed of them; null is shown instead where nothing has a spread, because then no bound is known.
        held: its upper bound is the one to show, where there is one.
    """
    interval = estimate if held is None else held
    return worth_of(None if interval.low is None else floor, estimate.point, interval.high, hour)


def worth_of(low: float | None, point: float | None, high: float | None, hour: Decimal) -> LabourValue:
    """Seconds at a price of an hour."""
    values = (None if seconds is None else Decimal(repr(seconds)) / _SECONDS_PER_HOUR * hour for seconds in (low, point, high))
    return LabourValue(**outwards(values, AMOUNT))


def total_labour_value(parts: Iterable[LabourValue | None]) -> LabourValue | None:
    """The sum; its bounds are sums of bounds, which is wider than need be. None where a part is unknown."""
    values = list(parts)
    if not values or any(value is None for value in values):
        return None
    known = [value for value in values if value is not None]
    return LabourValue(low=_sum([v.low for v in known]), point=_sum([v.point for v in known]), high=_sum([v.high for v in known]))


def shown(rate: DatedRate) -> Rate:
    return Rate(**rate._asdict())


def _sum(values: list[Decimal | None]) -> Decimal | None:
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) if len(known) == len(values) else None
