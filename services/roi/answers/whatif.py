"""What other thresholds would have meant: saving, errors and review load, from scores that are stored and people's findings about them.

Below the threshold of its day a person has decided every case, so there the truth is known case by case. Above it decisions were drawn at
random for a second look; their errors are estimated with 1/probability and the always-valid bounds of `shared.measure.audit`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from services.roi import figures
from services.roi.answers.whatif_schemas import ErrorCount, LossInterval, Scenario, WhatIf
from services.roi.facts import HUMAN, Wanted
from services.roi.grains import Grain
from services.roi.period import LEAST, BadPeriod, Period, moment
from services.roi.repository import figures as sums
from services.roi.repository import scores as repository
from services.roi.repository.snapshots import snapshot
from services.roi.schemas import HoursInterval
from services.roi.service import asked
from services.roi.valuation import AMOUNT, Valuation, amount
from shared.automations import registry
from shared.measure.baselines import EMPTY, Moments
from shared.measure.error_rate import AuditSums, ErrorRate, error_rates
from shared.measure.rounding import outwards
from shared.measure.savings import quantile

if TYPE_CHECKING:
    from services.roi.facts import ScoreSum
    from services.roi.figures import Account
    from services.roi.service import Question, Roi

NO_MODEL = "-"
_THOUSANDTH, _HUNDREDTH = Decimal("0.001"), Decimal("0.01")
ASSUMES = (
    "a case below the threshold goes to a person; no later tier is asked",
    "outcomes that only a person may give stay with people",
    "people take as long for further cases as for those they decided",
    "people who saw what a tier proposed judged it rightly",
    "second looks that two people answered differently are as rarely errors as others: unlike in `evidence`, they count as not done yet",
    "each threshold is looked at by itself: the best of many looks better than it is",
)


@dataclass(frozen=True, slots=True)
class Known:
    """What all scenarios share.

    Attributes:
        manual: seconds that all cases of the automated arm would have taken by hand: low, point, high; None as in the summary.
        people: human seconds of the cases of that arm that a person decided.
        total: cases of that arm.
    """

    manual: tuple[float | None, float | None, float | None]
    people: Moments
    total: int
    loss: Decimal | None
    hour: Decimal | None


def what_if(roi: Roi, tenant: str, question: Question, automation: str, thresholds: Sequence[Decimal]) -> WhatIf:
    """As of a moment, what was known when its day began: scores are summed by day, and both sides of a case must be known alike.

    Raises:
        BadPeriod: nothing of the period was over then; or as `Period.of`.
    """
    now = moment(question.as_of, roi.clock.now())
    before = None if question.as_of is None else Grain.DAY.start(now)
    if before is not None:
        now = before - LEAST
        if question.start is not None and question.start >= before:
            raise BadPeriod(
                f"With `as_of` what was known when its day began is answered: `from` must be before {before:%Y-%m-%dT%H:%M:%SZ}."
            )
        question = replace(question, as_of=now)
    days = Period.of(question.start, question.end, now=now, default=question.default).in_days()
    with snapshot(roi.engine, tenant) as connection:
        # Of the same days as the scores: cases without a score are those of the tally that no row of scores has.
        tally = sums.tally(connection, Wanted(tenant, days, min(now, days.last), question.as_of, automation, money=False))
        rows = repository.scores(connection, tenant, automation, days, before)
    found = figures.accounts(tally, question.min_grade)
    prices = Valuation.of(tally.rates, question.currency or tally.currency)
    loss, hour = prices.loss(automation), prices.labour(automation)
    known = _known(found[0] if found else None, None if loss is None else loss[0], None if hour is None else hour[0])
    scored = [row for row in rows if row.model_version != NO_MODEL]
    others = [row for row in rows if row.model_version == NO_MODEL]
    allowed, ruled = _allowed(automation, rows), [row for row in others if row.automatic]
    chosen = [_as_it_was(scored, ruled), *(_above(threshold, scored, ruled, allowed) for threshold in thresholds)]
    rates = error_rates([one.audits() for one in chosen])
    scenarios = [_scenario(one, rate, known) for one, rate in zip(chosen, rates, strict=True)]
    return WhatIf(
        **dict(asked(question, days, tally)),
        automation=automation,
        scored=sum(row.cases for row in scored),
        by_rule=sum(row.cases for row in others),
        unscored=max(known.total - sum(row.cases for row in rows), 0),
        as_it_was=scenarios[0],
        options=scenarios[1:],
        assumes=list(ASSUMES),
        hours_per_person_case=_hours(known.people.mean) if known.people.n else None,
    )


def _known(account: Account | None, loss: Decimal | None, hour: Decimal | None) -> Known:
    if account is None:
        return Known((None, None, None), EMPTY, 0, loss, hour)
    arm = [row for row in account.cases if row.arm == "automated"]
    spent = math.fsum(float(row.seconds) for row in arm)
    low, point, high = (
        None if value is None else value + spent for value in (account.estimate.low, account.estimate.point, account.estimate.high)
    )
    people = sum((row.moments for row in arm if row.tier == HUMAN), EMPTY)
    return Known((low, point, high), people, sum(row.cases for row in arm), loss, hour)


def _allowed(automation: str, rows: Iterable[ScoreSum]) -> set[str]:
    """Outcomes that a tier may make final; of an automation that is not installed here, those that tiers did make final."""
    known = registry.automations().get(automation)
    if known is None:
        return {row.proposed for row in rows if row.automatic}
    return {name for name, outcome in known.outcomes.items() if outcome.final_without_person}


Ends = tuple[Decimal | None, Decimal | None, Decimal | None]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The cases that one threshold leaves to tiers. Attributes: threshold: None: as it really was; rule: cases that rules decided."""

    threshold: Decimal | None
    rows: Sequence[ScoreSum]
    rule: int

    @property
    def certain(self) -> Decimal:
        """Wrong ones among those that people decided."""
        return Decimal(sum(row.reviewed_wrong for row in self.rows))

    @property
    def automatic(self) -> int:
        """Those that a tier really decided."""
        return sum(row.automatic for row in self.rows)

    def audits(self) -> AuditSums:
        least = [row.least for row in self.rows if row.least is not None]
        return AuditSums(
            decisions=sum(row.auditable for row in self.rows),
            drawn=sum(row.drawn for row in self.rows),
            done=sum(row.audited for row in self.rows),
            wrong=sum(row.audited_wrong for row in self.rows),
            weighted=sum((row.weighted_wrong for row in self.rows), Decimal(0)),
            weighted_drawn=sum((row.weighted_drawn for row in self.rows), Decimal(0)),
            weighted_done=sum((row.weighted_audited for row in self.rows), Decimal(0)),
            least=min(least, default=None),
        )


def _as_it_was(scored: Sequence[ScoreSum], ruled: Sequence[ScoreSum]) -> Chosen:
    # Within a hundredth some may have been decided and some not.
    rows = [row._replace(cases=row.automatic, reviewed=0, reviewed_wrong=0) for row in scored if row.automatic]
    return Chosen(None, [*rows, *ruled], sum(row.automatic for row in ruled))


def _above(threshold: Decimal, scored: Sequence[ScoreSum], ruled: Sequence[ScoreSum], allowed: set[str]) -> Chosen:
    lowest = int(threshold * 100)
    rows = [row for row in scored if row.bin >= lowest and row.proposed in allowed]
    return Chosen(threshold, [*rows, *ruled], sum(row.automatic for row in ruled))


def _scenario(chosen: Chosen, rate: ErrorRate | None, known: Known) -> Scenario:
    automatic = sum(row.cases for row in chosen.rows if row.model_version != NO_MODEL) + chosen.rule
    people = max(known.total - automatic, 0)
    review = _times(known.people, people)
    errors = _errors(chosen, rate)
    saved = _saved(known.manual, review)
    value = None if saved[1] is None or known.hour is None else amount(Decimal(repr(saved[1])) / 3600 * known.hour)
    return Scenario(
        threshold=chosen.threshold,
        automatic=automatic,
        people=people,
        automatic_share=(Decimal(automatic) / known.total).quantize(Decimal("0.0001")) if known.total else None,
        review_hours=_in_hours(*review),
        saved_hours=_in_hours(*saved),
        errors=ErrorCount(**outwards(errors, _HUNDREDTH)),
        error_cost=None if known.loss is None else _cost(errors, known.loss),
        labour_value=value,
    )


def _times(measured: Moments, cases: int) -> tuple[float | None, float | None, float | None]:
    """Seconds for so many cases at the measured mean, with the 95 % interval of the mean."""
    if cases == 0:
        return 0.0, 0.0, 0.0
    if not measured.n:
        return None, None, None
    point = cases * measured.mean
    if measured.variance is None:
        return None, point, None
    half = cases * quantile(measured.n - 1) * math.sqrt(measured.variance / measured.n)
    return max(point - half, 0.0), point, point + half


def _saved(manual: tuple[float | None, ...], review: tuple[float | None, ...]) -> tuple[float | None, float | None, float | None]:
    """Manual less review time; their errors are independent, so squares of half-widths add up."""
    if manual[1] is None or review[1] is None:
        return None, None, None
    point = manual[1] - review[1]
    if manual[0] is None or manual[2] is None or review[2] is None:
        return None, point, None
    more = review[2] - review[1]
    return point - math.hypot(manual[1] - manual[0], more), point, point + math.hypot(manual[2] - manual[1], more)


def _errors(chosen: Chosen, rate: ErrorRate | None) -> Ends:
    """Known ones among cases that people decided, plus the estimate for those that they did not."""
    certain = chosen.certain
    if not chosen.automatic:
        return certain, certain, certain
    if rate is None:
        return certain, None, None
    low, point, high = (certain + Decimal(repr(share)) * chosen.automatic for share in (rate.low, rate.point, rate.high))
    return low, point, high


def _cost(errors: Ends, loss: Decimal) -> LossInterval:
    return LossInterval(**outwards((None if end is None else end * loss for end in errors), AMOUNT))


def _in_hours(low: float | None, point: float | None, high: float | None) -> HoursInterval:
    return HoursInterval(**outwards((None if end is None else Decimal(repr(end)) / 3600 for end in (low, point, high)), _THOUSANDTH))


def _hours(seconds: float) -> Decimal:
    return (Decimal(repr(seconds)) / 3600).quantize(_THOUSANDTH)
