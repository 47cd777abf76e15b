"""Whether and when an investment pays, in cash and, apart from it, in capacity."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from services.roi import figures
from services.roi.answers.discounting import WEEK, Flow, Investment, continued
from services.roi.answers.forecast_schemas import Payback, Stream
from services.roi.buckets import begun, placed, seconds_of
from services.roi.period import Bucket, moment
from services.roi.repository.snapshots import snapshot
from services.roi.service import asked
from services.roi.valuation import AMOUNT, Valuation, amount
from shared.measure.rounding import at_least
from shared.measure.savings import combine, worth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from services.roi.figures import Account
    from services.roi.service import Question, Roi

_MONTH_DAYS = Decimal(365) / 12
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Plan:
    """Attributes: rate: per year; months: horizon from the day of the investment, which is the first of the period."""

    investment: Decimal
    rate: Decimal
    months: int


@dataclass(frozen=True, slots=True)
class Week:
    """Money of one week that begins on Monday.

    Attributes:
        value: of the hours saved, by the point estimate; None without a labour rate or a baseline.
        until: its end, or the moment that the answer is given at.
        whole: all seven days lie in the period and are over.
    """

    cash: Decimal
    cost: Decimal
    value: Decimal | None
    until: datetime
    whole: bool


class _Worked(NamedTuple):
    """What an account saved in each week.

    Attributes:
        hour: its labour rate; None where none is known.
        seconds: None where they are not known.
        cases: whether there were any, of either arm.
    """

    hour: Decimal | None
    seconds: Sequence[float | None]
    cases: Sequence[bool]


def payback(roi: Roi, tenant: str, question: Question, plan: Plan) -> Payback:
    """Returns count from the first day of the period, which is the day of the investment."""
    with snapshot(roi.engine, tenant) as connection:
        period, tally = roi.tally_in(connection, tenant, question, Bucket.WEEK, bounds=True)
    invested_on = period.start.date()
    prices = Valuation.of(tally.rates, question.currency or tally.currency)
    accounts = figures.accounts(tally, question.min_grade)
    money = prices.flows(figures.credited((row for account in accounts for row in account.flows), question.min_grade))
    now = moment(question.as_of, roi.clock.now())
    starts = [start for start in period.buckets(Bucket.WEEK) if start < now]
    places = {start: place for place, start in enumerate(seconds_of(starts))}
    worked = [_worked(account, places, prices) for account in accounts]
    until = min(period.end, now)
    flows = zip(*money.placed(places, len(places)), strict=True)
    weeks = [
        Week(cash, cost, _value(place, worked), min(start + WEEK, until), start >= period.start and start + WEEK <= until)
        for place, (start, (cost, cash)) in enumerate(zip(starts, flows, strict=True))
    ]
    into = Investment(plan.investment, invested_on, plan.rate, invested_on + timedelta(days=int(plan.months * _MONTH_DAYS)))
    valued = bool(accounts) and all(week.value is not None for week in weeks)
    share = careful_share(accounts, prices)
    return Payback(
        **dict(asked(question, period, tally)),
        investment=amount(plan.investment),
        invested_on=invested_on,
        discount_rate=plan.rate,
        months=plan.months,
        cash=_stream(into, weeks, [week.cash - week.cost for week in weeks]),
        capacity_at_least=_capacity(into, weeks, share, lambda value: at_least(value, AMOUNT)) if valued and share is not None else None,
        capacity=_capacity(into, weeks, Decimal(1)) if valued else None,
        unconverted=list(money.unconverted),
    )


def _worked(account: Account, places: Mapping[int, int], prices: Valuation) -> _Worked:
    hour = prices.labour(account.automation)
    estimates = figures.cut(account, placed(account.buckets, places, len(places)), len(places))
    unknown = account.estimate.point is None
    seconds = [None if unknown or not known else float(point) for point, known in zip(estimates.point, estimates.known, strict=True)]
    counted = set(begun(account.buckets))
    return _Worked(None if hour is None else hour[0], seconds, [start in counted for start in places])


def _value(place: int, worked: Sequence[_Worked]) -> Decimal | None:
    total = _NOTHING
    for one in worked:
        seconds = one.seconds[place]
        if seconds is None or (one.hour is None and one.cases[place]):
            return None
        total += Decimal(repr(seconds)) / 3600 * (one.hour or _NOTHING)
    return total


def careful_share(accounts: Sequence[Account], prices: Valuation) -> Decimal | None:
    """Lower bound over point of what the whole period is worth: weeks share their baseline, so they have no bounds of their own.

    The bound is the headline's, at each automation's rate: whether an investment is paid back is looked at again and again.

    None where the hours have no interval, or are worth nothing.
    """
    hours = [(account, prices.labour(account.automation)) for account in accounts]
    priced = [(account, float(hour[0])) for account, hour in hours if hour is not None]
    together = combine(worth(account.estimate, price) for account, price in priced)
    if together.low is None or together.point is None or together.point <= 0:
        return None
    _, floor = figures.at_all_looks(priced)
    return Decimal(repr(floor)) / Decimal(repr(together.point))


def _capacity(into: Investment, weeks: Sequence[Week], share: Decimal, shown: Callable[[Decimal], Decimal] = amount) -> Stream:
    return _stream(into, weeks, [(week.value or _NOTHING) * share - week.cost for week in weeks], shown)


def _stream(into: Investment, weeks: Sequence[Week], amounts: Sequence[Decimal], shown: Callable[[Decimal], Decimal] = amount) -> Stream:
    measured = [Flow(week.until.date(), value, measured=True) for week, value in zip(weeks, amounts, strict=True)]
    per_week = _per_week(weeks, amounts)
    last = measured[-1].on if measured else into.on
    flows = list(continued(measured, per_week, last, into.end))
    reached = into.paid_back(flows)
    return Stream(
        measured=shown(sum(amounts, _NOTHING)),
        per_week=shown(per_week),
        npv_measured=shown(into.npv(measured)),
        npv=shown(into.npv(flows)),
        paid_back_on=None if reached is None else reached.on,
        paid_back="never" if reached is None else "measured" if reached.measured else "expected",
    )


def _per_week(weeks: Sequence[Week], amounts: Sequence[Decimal]) -> Decimal:
    """Mean of the whole weeks; zero before the first of them is over, because then nothing can be said to go on."""
    whole = [value for week, value in zip(weeks, amounts, strict=True) if week.whole]
    return sum(whole, _NOTHING) / len(whole) if whole else _NOTHING
