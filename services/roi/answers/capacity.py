"""Hours released, set against what people have to do and how fast they do it.

J. D. C. Little, "A Proof for the Queuing Formula: L = λW", Operations Research 9 (1961): in a queue that neither grows nor shrinks the mean
wait is the mean number that waits, divided by the rate at which they leave.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from services.roi import figures
from services.roi.answers.capacity_schemas import AutomationCapacity, Capacity, MeasuredQueue, Released
from services.roi.facts import HUMAN, Queue
from services.roi.period import moment
from services.roi.repository import queue as repository
from services.roi.repository.snapshots import snapshot
from services.roi.schemas import HoursInterval
from services.roi.service import asked
from shared.measure.rounding import at_most, outwards
from shared.measure.savings import combine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.roi.figures import Account
    from services.roi.period import Period
    from services.roi.service import Question, Roi
    from shared.measure.savings import Estimate

_DAY = Decimal(86_400)
_THOUSANDTH = Decimal("0.001")
UNTOLD = (
    "with as_of no arrivals and no growth: of the cases that were undecided then, nobody can tell any more which needed a person, because"
    " neither when a case was quarantined nor when a replay took its review back is kept"
)


@dataclass(frozen=True, slots=True)
class Desk:
    """One automation's people, or everybody.

    Attributes:
        worked: human seconds on cases decided in the period.
        completed: cases that a person decided in the period; ``spent`` are the human seconds on these.
    """

    automation: str | None
    estimate: Estimate
    worked: Decimal
    completed: int
    spent: Decimal
    queue: Queue


@dataclass(frozen=True, slots=True)
class Measured:
    """What all desks share. Attributes: now: what waits is of; arrivals: whether it is known what arrived."""

    days: Decimal
    now: datetime
    arrivals: bool


def capacity(roi: Roi, tenant: str, question: Question) -> Capacity:
    with snapshot(roi.engine, tenant) as connection:
        period, tally = roi.tally_in(connection, tenant, question, money=False)
        queues = {queue.automation: queue for queue in repository.queues(connection, tenant, period, question.automation, question.as_of)}
        first = repository.began(connection, tenant, period.end, question.automation, question.as_of)
    found = {account.automation: account for account in figures.accounts(tally, question.min_grade)}
    desks = [_desk(name, found.get(name), queues.get(name)) for name in sorted({*found, *queues})]
    now = roi.clock.now()
    days = _elapsed_days(first or period.start, period, moment(question.as_of, now))
    measured = Measured(days, now, arrivals=question.as_of is None)
    return Capacity(
        **dict(asked(question, period, tally)),
        days=days.quantize(_THOUSANDTH),
        total=shown(everybody(desks), measured),
        automations=[shown(desk, measured) for desk in desks],
        note=None if measured.arrivals else UNTOLD,
    )


def _elapsed_days(first: datetime, period: Period, now: datetime) -> Decimal:
    """From the first hour with a record, because before it nothing ran; at least one hour. A quiet beginning of the period counts."""
    seconds = (min(period.end, now) - max(first, period.start)).total_seconds()
    return Decimal(max(seconds, 3600.0)) / _DAY


def everybody(desks: Sequence[Desk]) -> Desk:
    queues = [desk.queue for desk in desks]
    return Desk(
        automation=None,
        estimate=combine(desk.estimate for desk in desks),
        worked=sum((desk.worked for desk in desks), Decimal(0)),
        completed=sum(desk.completed for desk in desks),
        spent=sum((desk.spent for desk in desks), Decimal(0)),
        queue=Queue(
            "*",
            sum(queue.arrived for queue in queues),
            sum(queue.waiting for queue in queues),
            sum(queue.others for queue in queues),
            min((queue.oldest for queue in queues if queue.oldest is not None), default=None),
        ),
    )


def shown(desk: Desk, measured: Measured) -> AutomationCapacity:
    each = desk.spent / desk.completed if desk.completed else None
    work = None if each is None else desk.queue.waiting * each
    return AutomationCapacity(
        automation=desk.automation,
        released=_released(desk, measured.days, work),
        queue=_queue(desk, measured, each).model_copy(update={"waiting_hours_of_work": None if work is None else _hours(work)}),
    )


def _desk(name: str, account: Account | None, queue: Queue | None) -> Desk:
    rows = () if account is None else account.cases
    by_people = [row for row in rows if row.tier == HUMAN]
    return Desk(
        automation=name,
        estimate=combine(()) if account is None else account.estimate,
        worked=sum((row.seconds for row in rows), Decimal(0)),
        completed=sum(row.cases for row in by_people),
        # Second looks and rework of what tiers decided are work, but no part of a case that waits.
        spent=sum((row.seconds for row in by_people), Decimal(0)),
        queue=queue or Queue(name, 0, 0, 0, None),
    )


def _queue(desk: Desk, measured: Measured, each: Decimal | None) -> MeasuredQueue:
    queue = desk.queue
    completions = desk.completed / measured.days
    arrivals = queue.arrived / measured.days if measured.arrivals else None
    return MeasuredQueue(
        waiting=queue.waiting,
        waiting_others=queue.others,
        oldest_hours=None if queue.oldest is None else _hours(Decimal(max((measured.now - queue.oldest).total_seconds(), 0.0))),
        arrivals_per_day=None if arrivals is None else arrivals.quantize(_THOUSANDTH),
        completions_per_day=completions.quantize(_THOUSANDTH),
        growth_per_day=None if arrivals is None else (arrivals - completions).quantize(_THOUSANDTH),
        seconds_per_case=None if each is None else each.quantize(_THOUSANDTH),
        waiting_hours_of_work=None,
        expected_wait_hours=_hours(queue.waiting / completions * _DAY) if completions else None,
    )


def _released(desk: Desk, days: Decimal, work: Decimal | None) -> Released:
    low, point, high = (
        None if value is None else Decimal(repr(value)) / days for value in (desk.estimate.low, desk.estimate.point, desk.estimate.high)
    )
    worked = desk.worked / days
    return Released(
        hours_per_day=HoursInterval(**outwards((None if end is None else end / 3600 for end in (low, point, high)), _THOUSANDTH)),
        worked_hours_per_day=_hours(worked),
        share=(point / (point + worked)).quantize(_THOUSANDTH) if point is not None and point > 0 else None,
        days_to_clear=at_most(work / low, _THOUSANDTH) if work is not None and low is not None and low > 0 else None,
    )


def _hours(seconds: Decimal) -> Decimal:
    return (seconds / 3600).quantize(_THOUSANDTH)
