"""From sums to figures: the estimate of each automation, its parts, and how they are shown."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from services.roi import valuation
from services.roi.schemas import Cases, Figures, GradeShare, HoursInterval, Interval, LabourValue, Saved, Worth
from shared.measure.adjusted import weighted
from shared.measure.baselines import EMPTY, Grade, Moments
from shared.measure.parts import Parts, parts, unknown
from shared.measure.rounding import at_least, at_most, outwards
from shared.measure.savings import Estimate, Fit, combine, estimate, fit
from shared.measure.sequence import Bounds, Progress, bounds, progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from services.roi.buckets import BucketSums, MoneyBuckets, Placed
    from services.roi.facts import CaseSum, MoneySum, Moved, Tally
    from services.roi.valuation import Valuation
    from shared.measure.mixture import Floats
    from shared.measure.parts import Ends

_THOUSANDTH = Decimal("0.001")
_SECONDS_PER_HOUR = Decimal(3600)
Money = TypeVar("Money", "MoneySum", "MoneyBuckets")


@dataclass(frozen=True, slots=True)
class Account:
    """One automation in one period.

    Attributes:
        cases, money, buckets, flows: as of `Tally`.
        fitted: its baselines, for estimates of parts of the period.
        progress: of the always-valid estimate; empty where nobody asked for bounds.
        refused: its evidence is worse than asked for, so neither it nor any part of it has an estimate.
    """

    automation: str
    cases: Sequence[CaseSum]
    money: Sequence[MoneySum]
    fitted: Fit
    estimate: Estimate
    progress: Progress
    buckets: Sequence[BucketSums] = ()
    flows: Sequence[MoneyBuckets] = ()
    refused: bool = False

    @property
    def always_valid(self) -> Bounds | None:
        """The interval for whoever looks every day; None without enough control cases, or where better evidence is asked for."""
        return bounds(self.progress) if self.estimate.grade is Grade.A else None

    @property
    def floor(self) -> float:
        """At least this much. A stored baseline was estimated once, so looking again does not try one's luck again."""
        if self.estimate.grade is not Grade.A:
            return self.estimate.floor
        held = self.always_valid
        return min(0.0, self.estimate.point or 0.0) if held is None else held.least


def accounts(tally: Tally, min_grade: Grade) -> list[Account]:
    """One for each automation with cases or money, by name."""
    names = sorted({row.automation for rows in (tally.cases, tally.buckets, tally.money, tally.flows) for row in rows})
    return [_account(name, tally, min_grade) for name in names]


def part(account: Account, cases: Iterable[CaseSum]) -> Estimate:
    """The estimate of some of an account's cases, by the baselines of its whole period."""
    found = estimate(account.fitted, _by_stratum(cases, "automated"))
    return _emptied(found, account.estimate.note) if account.refused else found


def cut(account: Account, found: Placed, size: int) -> Parts:
    """The estimates of the parts that an account's buckets were placed in, by the baselines of its whole period."""
    if account.refused:
        return unknown(size)
    sums: dict[str, tuple[Floats, Floats]] = {}
    for row, added, spent in zip(account.buckets, found.human + found.automatic, found.seconds, strict=True):
        cases, seconds = sums.get(row.stratum, (0.0, 0.0))
        sums[row.stratum] = cases + added, seconds + spent
    return parts(account.fitted, sums, size)


def graded(found: Estimate, min_grade: Grade) -> Estimate:
    """Without its figures where the evidence is worse than asked for."""
    if found.grade is None or found.grade.reaches(min_grade):
        return found
    return _emptied(found, f"evidence of grade {found.grade} is below min_grade {min_grade}")


def _emptied(found: Estimate, note: str | None) -> Estimate:
    return replace(found, point=None, low=None, high=None, grade=None, spreads=(), covered=0, note=note)


def credited(money: Iterable[Money], min_grade: Grade) -> list[Money]:
    """Costs whatever their evidence, because leaving one out would flatter; gains only with the evidence asked for."""
    return [row for row in money if row.kind in valuation.COSTS or Grade(row.grade).reaches(min_grade)]


def figures(account: Account, prices: Valuation, min_grade: Grade) -> Figures:
    hour = prices.labour(account.automation)
    value = None
    if hour is not None and account.estimate.point is not None:
        value = valuation.labour_value(account.estimate, hour[0], account.floor, account.always_valid)
    converted = prices.convert(credited(account.money, min_grade))
    used = [*converted.used, *(() if hour is None else hour[1])]
    return Figures(
        automation=account.automation,
        cases=count([account]),
        saved=saved(account.estimate, account.floor, account.always_valid),
        money=_worth(converted, account.estimate.cases, value),
        rates=[valuation.shown(rate) for rate in dict.fromkeys(used)],
    )


def total(found: Sequence[Account], parts: Sequence[Figures], prices: Valuation, min_grade: Grade) -> Figures:
    """All automations together; the bounds of the sum are narrower than the sums of the bounds."""
    together = combine(account.estimate for account in found)
    held, floor = at_all_looks([(account, 1.0) for account in found])
    # An interval that leaves a part out would be one of nothing.
    whole = None if any(account.estimate.point for account in found if account.always_valid is None) else held
    value = valuation.total_labour_value(
        figure.money.labour_value
        for account, figure in zip(found, parts, strict=True)
        # Where nothing was automated there is nothing to value, so no rate is missing.
        if account.estimate.point is not None and (account.estimate.cases or figure.money.labour_value is not None)
    )
    converted = prices.convert(credited((row for account in found for row in account.money), min_grade))
    return Figures(
        automation=None,
        cases=count(found),
        saved=saved(together, floor, whole),
        money=_worth(converted, together.cases, value),
        rates=list({rate.model_dump_json(): rate for figure in parts for rate in figure.rates}.values()),
    )


def at_all_looks(priced: Sequence[tuple[Account, float]]) -> tuple[Bounds | None, float]:
    """The always-valid interval of those that have one, and at least what all of them saved; seconds count at the price beside them."""
    held = bounds(sum((account.progress.at(price) for account, price in priced if account.always_valid is not None), start=Progress()))
    others = math.fsum(account.floor * price for account, price in priced if account.always_valid is None)
    return held, others + (0.0 if held is None else held.least)


def by_grade(found: Iterable[Account]) -> list[GradeShare]:
    """Point estimates by the evidence behind them."""
    sums: dict[Grade, float] = {}
    for account in found:
        if account.estimate.grade is not None and account.estimate.point is not None:
            sums[account.estimate.grade] = sums.get(account.estimate.grade, 0.0) + account.estimate.point
    return [GradeShare(grade=grade, seconds=in_seconds(value)) for grade, value in sorted(sums.items())]


def count(found: Iterable[Account]) -> Cases:
    """Of accounts that have their cases in buckets."""
    rows = [row for account in found for row in account.buckets]
    return mixed(sum(sum(row.control) for row in rows), sum(sum(row.human) for row in rows), sum(sum(row.automatic) for row in rows))


def mixed(control: int, human: int, automatic: int) -> Cases:
    return Cases(control + human + automatic, automatic, human, control)


def interval(found: Estimate) -> Interval:
    return Interval(
        None if found.low is None else at_least(found.low, _THOUSANDTH),
        None if found.point is None else in_seconds(found.point),
        None if found.high is None else at_most(found.high, _THOUSANDTH),
    )


def intervals(found: Ends) -> Iterator[Interval]:
    """As `interval`, of each part."""
    return map(Interval, *([None if math.isnan(value) else Decimal(f"{value:.3f}") for value in end.tolist()] for end in found.outwards()))


def saved(found: Estimate, floor: float, held: Bounds | None) -> Saved:
    return Saved(
        at_least_hours=at_least(Decimal(repr(floor)) / _SECONDS_PER_HOUR, _THOUSANDTH),
        hours=_in_hours(found),
        always_valid=None if held is None else _in_hours(held),
        all_cases=held is not None and not held.spent,
        seconds=interval(found),
        grade=found.grade,
        covered_cases=found.covered,
        note=found.note,
    )


def _in_hours(found: Estimate | Bounds) -> HoursInterval:
    hours = (None if value is None else Decimal(repr(value)) / _SECONDS_PER_HOUR for value in (found.low, found.point, found.high))
    return HoursInterval(**outwards(hours, _THOUSANDTH))


def _account(name: str, tally: Tally, min_grade: Grade) -> Account:
    cases = [row for row in tally.cases if row.automation == name]
    buckets = [row for row in tally.buckets if row.automation == name]
    money = [row for row in tally.money if row.automation == name]
    flows = [row for row in tally.flows if row.automation == name]
    stored = {row.stratum: row.baseline for row in tally.baselines if row.automation == name}
    if buckets:
        baseline, automated = _control_of_buckets(buckets), _automated(buckets)
    else:
        baseline, automated = like_automated(cases), _by_stratum(cases, "automated")
    fitted = fit(baseline, automated, stored)
    measured = estimate(fitted, automated)
    found = graded(measured, min_grade)
    return Account(name, cases, money, fitted, found, _progress(buckets), buckets, flows, refused=found is not measured)


def like_automated(rows: Iterable[CaseSum | Moved]) -> Mapping[str, Moments]:
    """Control cases by stratum, weighted where the control share was changed meanwhile."""
    parts: dict[str, list[tuple[float, Moments]]] = {}
    for row in rows:
        if row.arm == "control":
            parts.setdefault(row.stratum, []).append((float(row.share), row.moments))
    return {stratum: weighted(found) for stratum, found in parts.items()}


def _by_stratum(rows: Iterable[CaseSum], arm: str) -> Mapping[str, Moments]:
    found: dict[str, list[CaseSum]] = {}
    for row in rows:
        if row.arm == arm:
            found.setdefault(row.stratum, []).append(row)
    return {stratum: _together(own) for stratum, own in found.items()}


def _automated(buckets: Iterable[BucketSums]) -> Mapping[str, Moments]:
    """Without squares: nobody asks how automated cases scatter."""
    sums: dict[str, Moments] = {}
    for row in buckets:
        found = Moments(sum(row.human) + sum(row.automatic), sum(row.seconds), 0.0)
        if found.n:
            sums[row.stratum] = sums[row.stratum] + found if row.stratum in sums else found
    return sums


def _control_of_buckets(buckets: Iterable[BucketSums]) -> Mapping[str, Moments]:
    """As `like_automated`."""
    shares: dict[str, list[tuple[float, Moments]]] = {}
    for row in buckets:
        found = row.control_moments
        if found.n:
            shares.setdefault(row.stratum, []).append((float(row.share), found))
    return {stratum: weighted(own) for stratum, own in shares.items()}


def _progress(buckets: Sequence[BucketSums]) -> Progress:
    """Nothing where nobody asked for bounds."""
    arms = [arm for row in buckets for arm in row.arms()]
    control: dict[str, Moments] = {}
    for row in buckets if arms else ():
        control[row.stratum] = control.get(row.stratum, EMPTY) + row.control_moments
    return progress(arms, control)


def _together(rows: Sequence[CaseSum]) -> Moments:
    """Added up before they become floats: an answer about two years has thousands of rows."""
    return Moments(
        sum(row.cases for row in rows),
        float(sum((row.seconds for row in rows), Decimal(0))),
        float(sum((row.squares for row in rows), Decimal(0))),
    )


def _worth(converted: valuation.Converted, cases: int, labour: LabourValue | None) -> Worth:
    sums = {kind: valuation.amount(converted.sums.get(kind, Decimal(0))) for kind in (*valuation.COSTS, "cash")}
    return Worth(
        compute_cost=sums["compute"],
        remote_model_cost=sums["remote_model"],
        platform_cost=sums["platform"],
        error_cost=sums["error"],
        total_cost=valuation.amount(converted.cost),
        cost_per_event=(converted.cost / cases).quantize(Decimal("1e-8")) if cases else None,
        cash=sums["cash"],
        labour_value=labour,
        unconverted=list(converted.foreign),
    )


def in_seconds(value: float) -> Decimal:
    """To the millisecond; thousands of them are shown, and this takes half as long as to quantise."""
    return Decimal(f"{value:.3f}")
