"""What moved a period's figures between two moments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from services.roi.answers.bridge_schemas import Bridge, Cause, Figure, Movement, Part
from services.roi.answers.bridge_steps import Known, Levels, steps
from services.roi.facts import Wanted
from services.roi.grains import Grain
from services.roi.period import BadPeriod, Period, moment
from services.roi.repository import figures
from services.roi.repository.snapshots import snapshot

if TYPE_CHECKING:
    from datetime import datetime

    from services.roi.service import Question, Roi


@dataclass(frozen=True, slots=True)
class Moments:
    """The two moments to compare; ``later`` None is now."""

    earlier: datetime
    later: datetime | None


def bridge(roi: Roi, tenant: str, question: Question, between: Moments) -> Bridge:
    """Raises BadPeriod where the moments are not in order, or still to come."""
    later = moment(between.later, roi.clock.now())
    earlier = moment(between.earlier, later)
    if earlier >= later:
        raise BadPeriod("`earlier` must be before `later`.")
    period = Period.of(question.start, question.end, now=later)
    with snapshot(roi.engine, tenant) as connection:
        wanted = Wanted(tenant, period, min(earlier, period.end), earlier, question.automation, boundary=_boundary(earlier, period))
        before = Known(*figures.divided(connection, wanted))
        latest = replace(wanted, at=min(later, period.end), as_of=later, latest=between.later is None)
        after = Known(*figures.divided(connection, latest))
    currency = question.currency or after.recent.currency
    found = steps(before, after, currency, question.min_grade)
    return Bridge(
        start=period.start,
        end=period.end,
        earlier=earlier,
        later=later,
        min_grade=question.min_grade,
        currency=currency,
        movements=[_movement(figure, found, "s" if figure is Figure.SECONDS_SAVED else currency) for figure in Figure],
    )


def _boundary(earlier: datetime, period: Period) -> datetime:
    return min(max(Grain.HOUR.start(earlier), period.start), period.end)


def _movement(figure: Figure, found: list[tuple[Cause | None, Levels]], unit: str) -> Movement:
    before, after = found[0][1][figure], found[-1][1][figure]
    parts = [Part(cause=cause, amount=new[figure] - old[figure]) for (_, old), (cause, new) in pairwise(found) if cause is not None]
    return Movement(figure=figure, unit=unit, before=before, after=after, difference=after - before, parts=parts)
