"""How many cases to hold out, from what has been measured of the process."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from services.roi import figures
from services.roi.answers.planning_schemas import Holdout, HoldoutPlan, MeasuredProcess
from services.roi.repository.queue import began
from services.roi.repository.snapshots import snapshot
from services.roi.repository.sums import first_day
from services.roi.service import asked
from shared.errors import Conflict
from shared.measure import planner
from shared.measure.baselines import EMPTY
from shared.measure.planner import Process
from shared.measure.rounding import at_most

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.roi.figures import Account
    from services.roi.service import Question, Roi

_DAY = timedelta(days=1)


class NothingMeasured(Conflict):
    """Nothing was measured to plan from: state `cases_per_day`, `manual_seconds` and `deviation_seconds`."""

    code = "nothing_measured"


@dataclass(frozen=True, slots=True)
class Assumed:
    """What the question states itself; None is taken from what was measured."""

    cases_per_day: float | None = None
    manual: float | None = None
    deviation: float | None = None
    assisted: float | None = None

    def over(self, measured: Process | None) -> Process:
        """Raises NothingMeasured where neither knows."""
        known = measured or Process(*(math.nan,) * 3)
        found = replace(
            known,
            **{name: value for name in ("cases_per_day", "manual", "deviation", "assisted") if (value := getattr(self, name)) is not None},
        )
        if any(math.isnan(value) for value in (found.cases_per_day, found.manual, found.deviation)):
            raise NothingMeasured
        return found


@dataclass(frozen=True, slots=True)
class Wanted:
    """Attributes: precision: half-width over saving."""

    shares: Sequence[Decimal]
    weeks: Decimal
    precision: Decimal
    assumed: Assumed


def plan(roi: Roi, tenant: str, question: Question, automation: str, wanted: Wanted) -> HoldoutPlan:
    """Raises NothingMeasured."""
    with snapshot(roi.engine, tenant) as connection:
        period, tally = roi.tally_in(connection, tenant, replace(question, automation=automation), money=False)
        # Quiet days count where something had run before them.
        earlier = began(connection, tenant, period.start, automation, question.as_of)
        first = period.start if earlier else first_day(connection, tenant, automation, period, question.as_of)
    found = figures.accounts(tally, question.min_grade)
    until = min(period.end, question.as_of or roi.clock.now())
    process = wanted.assumed.over(measured(found[0], until - max(first or until, period.start)) if found else None)
    shares = [float(share) for share in wanted.shares]
    needed = planner.share_for(process, float(wanted.precision), float(wanted.weeks))
    return HoldoutPlan(
        **dict(asked(question, period, tally)),
        automation=automation,
        process=_shown(process),
        options=[_option(process, share, wanted.weeks) for share in wanted.shares],
        precision=wanted.precision,
        # Rounded so that they still suffice.
        share_needed=None if needed is None else at_most(needed, Decimal("0.0001")),
        weeks_needed=[
            None if weeks is None else at_most(weeks, Decimal("0.1"))
            for weeks in (planner.weeks_for(process, float(wanted.precision), share) for share in shares)
        ],
    )


def measured(account: Account, ran: timedelta) -> Process | None:
    """Of one automation, weighted as its automated cases fall into strata; None without a baseline that has a spread.

    Args:
        ran: since the beginning of the period, or of the first day with a decided case where nothing ran before; at least a day counts.
    """
    automated = [row for row in account.cases if row.arm == "automated"]
    known = [(row, account.fitted.baseline_of(row.stratum)) for row in automated]
    weighted = [(row.cases, b.mean, b.variance) for row, b in known if b is not None and b.variance is not None and row.cases]
    n = sum(cases for cases, _, _ in weighted)
    if not n:
        return None
    together = sum((row.moments for row in automated), EMPTY)
    return Process(
        cases_per_day=sum(row.cases for row in account.cases) / max(ran / _DAY, 1.0),
        manual=math.fsum(cases * mean for cases, mean, _ in weighted) / n,
        deviation=math.sqrt(math.fsum(cases * variance for cases, _, variance in weighted) / n),
        assisted=together.mean,
    )


def _option(process: Process, share: Decimal, weeks: Decimal) -> Holdout:
    found = planner.holdout(process, float(share), float(weeks))
    precision = None if math.isinf(found.precision) else _rounded(found.precision, "0.001")
    return Holdout(
        control_share=share,
        weeks=weeks,
        control_cases=_rounded(found.controls, "0.1"),
        saved_hours=_hours(found.saved),
        always_valid_hours=_hours(found.always_valid),
        fixed_time_hours=_hours(found.fixed_time),
        precision=precision,
        minutes_per_day=_rounded(found.minutes_per_day, "0.1"),
        sentence=planner.sentence(found),
    )


def _shown(process: Process) -> MeasuredProcess:
    return MeasuredProcess(
        cases_per_day=_rounded(process.cases_per_day, "0.001"),
        manual_seconds=_rounded(process.manual, "0.001"),
        deviation_seconds=_rounded(process.deviation, "0.001"),
        assisted_seconds=_rounded(process.assisted, "0.001"),
    )


def _hours(seconds: float) -> Decimal:
    return _rounded(seconds / 3600, "0.001")


def _rounded(value: float, step: str) -> Decimal:
    return Decimal(repr(value)).quantize(Decimal(step))
