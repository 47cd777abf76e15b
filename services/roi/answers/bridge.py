"""What moved a period's figures between two moments."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from services.roi.answers.bridge_schemas import Bridge, Cause, Figure, Movement, Part
from services.roi.answers.bridge_steps import Known, Levels, steps, unconverted
from services.roi.facts import Apart
from services.roi.grains import Grain
from services.roi.period import BadPeriod, Period
from services.roi.period import moment as answered_at
from services.roi.repository import figures, moves
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
    later = answered_at(between.later, roi.clock.now())
    earlier = answered_at(between.earlier, later)
    if earlier >= later:
        raise BadPeriod("`earlier` must be before `later`.")
    period = Period.of(question.start, question.end, now=later)
    apart = Apart(
        tenant=tenant,
        period=period,
        boundary=min(max(Grain.HOUR.start(earlier), period.start), period.end),
        earlier=earlier,
        later=None if between.later is None else later,
        unfinished=later < period.end,
        automation=question.automation,
    )
    with snapshot(roi.engine, tenant) as connection:
        own, simulated = figures.currency(connection, tenant)
        held = [figures.standing(connection, tenant, min(moment, period.last), moment) for moment in (earlier, later)]
        before, after = map(Known, moves.known(connection, apart), held)
    currency = question.currency or own
    found = steps(before, after, currency, question.min_grade)
    return Bridge(
        start=period.start,
        end=period.end,
        earlier=earlier,
        later=later,
        min_grade=question.min_grade,
        currency=currency,
        simulated=simulated,
        movements=[_movement(figure, found, "s" if figure is Figure.SECONDS_SAVED else currency) for figure in Figure],
        unconverted=sorted(unconverted(before, currency, question.min_grade) | unconverted(after, currency, question.min_grade)),
    )


def _movement(figure: Figure, found: list[tuple[Cause | None, Levels]], unit: str) -> Movement:
    before, after = found[0][1][figure], found[-1][1][figure]
    parts = [Part(cause=cause, amount=new[figure] - old[figure]) for (_, old), (cause, new) in pairwise(found) if cause is not None]
    return Movement(figure=figure, unit=unit, before=before, after=after, difference=after - before, parts=parts)
