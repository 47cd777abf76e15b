"""The next period, from the blocks that were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from services.roi import figures
from services.roi.answers.blocks import Blocks, baselined, first_day, next_day, saved_in
from services.roi.answers.forecast_schemas import AutomationForecast, Forecast, MoneyInterval
from services.roi.buckets import placed
from services.roi.period import Bucket, moment
from services.roi.repository import figures as repository
from services.roi.repository.queue import began
from services.roi.repository.snapshots import snapshot
from services.roi.schemas import HoursInterval, LabourValue
from services.roi.service import asked
from services.roi.valuation import AMOUNT, Valuation, total_labour_value, worth_of
from shared.measure.projection import LEAST_BLOCKS, Projection, combine, project
from shared.measure.rounding import outwards

if TYPE_CHECKING:
    from services.roi.figures import Account
    from services.roi.service import Question, Roi
    from services.roi.valuation import Flows

# Nine weeks, so that there are eight whole ones.
HISTORY = timedelta(days=63)
ASSUMES = (
    "as many cases, of the same kinds, as in the measured blocks",
    "no trend and no season longer than a block: blocks differ by chance alone",
    "the same tiers, thresholds and control share",
    "manual handling takes as long as the baselines say",
)


@dataclass(frozen=True, slots=True)
class Ahead:
    """Attributes: length: of what comes."""

    length: timedelta
    prices: Valuation

    def future(self, blocks: Blocks) -> float:
        """How many blocks."""
        return self.length / blocks.length


@dataclass(frozen=True, slots=True)
class Projected:
    """Attributes: hours: seconds saved; None where they cannot be estimated; value: at the labour rate, None without one."""

    automation: str
    blocks: Blocks
    seconds: Projection | None
    value: LabourValue | None
    cost: Projection
    cash: Projection
    note: str | None


def forecast(roi: Roi, tenant: str, question: Question, days_ahead: int) -> Forecast:
    now = moment(question.as_of, roi.clock.now())
    with snapshot(roi.engine, tenant) as connection:
        period, tally = roi.tally_in(connection, tenant, _recent(question, now), Bucket.DAY)
        # The measured days end before this one, what comes is worth what it is worth now.
        rates = repository.rates(connection, tenant, now, question.as_of)
        names = sorted({row.automation for row in tally.buckets})
        # Quiet days count where it had run before.
        earlier = {name for name in names if began(connection, tenant, period.start, name, question.as_of)}
    accounts = figures.accounts(tally, question.min_grade)
    every = Blocks.of(period.start if earlier else first_day(accounts), period, now)
    # What began later has fewer blocks; what has money alone is as old as the others.
    first = {account.automation: period.start if account.automation in earlier else first_day([account]) for account in accounts}
    blocks = [every if (day := first[account.automation]) is None else Blocks.of(day, period, now) for account in accounts]
    prices = Valuation.of(rates, question.currency or tally.currency)
    ahead = Ahead(timedelta(days=days_ahead), prices)
    flows = [prices.flows(figures.credited(account.flows, question.min_grade)) for account in accounts]
    parts = [_projected(*one, ahead) for one in zip(accounts, blocks, flows, strict=True)] if every.size else []
    return Forecast(
        **dict(asked(question, period, tally)),
        days_ahead=days_ahead,
        block=every.name,
        blocks=every.size,
        assumes=list(ASSUMES),
        total=_total(parts, every),
        automations=[_shown(part) for part in parts],
        unconverted=sorted({name for own in flows for name in own.unconverted}),
    )


def _recent(question: Question, now: datetime) -> Question:
    """The newest weeks of the period, in whole days: what is older says less about what comes, and of today nobody knows the rest."""
    until = min(now, question.end or now)
    earliest, end = next_day(until - HISTORY), Bucket.DAY.start(until)
    if question.start is None:
        # As a length, because the weeks before the first moment that may be asked about are no question of the caller's.
        return replace(question, end=end, default=end - earliest)
    start = max(question.start, earliest)
    # Without one whole day it is said so.
    return replace(question, start=start, end=end if start < end else question.end)


def _projected(account: Account, blocks: Blocks, flows: Flows, ahead: Ahead) -> Projected:
    inside = placed(account.buckets, blocks.places, blocks.size)
    saved = saved_in(account, inside) if account.estimate.point is not None else None
    seconds = None if saved is None else project(saved, ahead.future(blocks), baselined(account, inside))
    hour = ahead.prices.labour(account.automation)
    cost, cash = (project([float(value) for value in sums], ahead.future(blocks)) for sums in flows.placed(blocks.places, blocks.size))
    note = account.estimate.note if seconds is None else None
    if blocks.size < LEAST_BLOCKS:
        note = f"fewer than {LEAST_BLOCKS} whole days are measured: no interval"
    value = None if seconds is None or hour is None else worth_of(seconds.low, seconds.point, seconds.high, hour[0])
    return Projected(account.automation, blocks, seconds, value, cost, cash, note)


def _total(parts: Sequence[Projected], blocks: Blocks) -> AutomationForecast:
    nothing = Projection(0.0, None, None, None)
    known = [part for part in parts if part.seconds is not None]
    together = Projected(
        automation="",
        blocks=blocks,
        seconds=combine([part.seconds for part in known if part.seconds is not None]) if known else None,
        value=total_labour_value(part.value for part in known),
        cost=combine([part.cost for part in parts]) if parts else nothing,
        cash=combine([part.cash for part in parts]) if parts else nothing,
        note="; ".join(dict.fromkeys(part.note for part in parts if part.note)) or (None if parts else "not one whole day is measured"),
    )
    return _shown(together).model_copy(update={"automation": None})


def _shown(part: Projected) -> AutomationForecast:
    return AutomationForecast(
        automation=part.automation,
        block=part.blocks.name,
        blocks=part.blocks.size,
        hours=None if part.seconds is None else _in_hours(part.seconds),
        labour_value=part.value,
        total_cost=_interval(part.cost),
        cash=_interval(part.cash),
        note=part.note,
    )


def _interval(found: Projection) -> MoneyInterval:
    return MoneyInterval.model_validate(outwards((found.low, found.point, found.high), AMOUNT))


def _in_hours(found: Projection) -> HoursInterval:
    hours = (None if seconds is None else Decimal(repr(seconds)) / 3600 for seconds in (found.low, found.point, found.high))
    return HoursInterval(**outwards(hours, Decimal("0.001")))
