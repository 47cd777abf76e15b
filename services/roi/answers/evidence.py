"""What the figures rest on: the experiment, the baselines, the clocks."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from services.roi import figures
from services.roi.answers import soundness
from services.roi.answers.adjustment import adjustment
from services.roi.answers.evidence_schemas import AutomationEvidence, BaselineInUse, Clocks, Draw, Errors, Evidence, Finding
from services.roi.answers.margins import charged
from services.roi.facts import Audited, Decided, Experiment
from services.roi.grains import Grain
from services.roi.period import Period
from services.roi.repository import evidence as repository
from services.roi.repository import scores
from services.roi.repository.snapshots import snapshot
from services.roi.schemas import Summary
from services.roi.service import asked
from services.roi.valuation import AMOUNT, Valuation, amount
from shared.measure import integrity
from shared.measure.baselines import Grade
from shared.measure.error_rate import ErrorRate, error_rates
from shared.measure.rounding import at_most, outwards

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from services.roi.facts import KnownBaseline
    from services.roi.figures import Account
    from services.roi.service import Question, Roi

_SHARE = Decimal("0.000001")
_CONCURRENT = "concurrent randomised control"


class _Behind(NamedTuple):
    """Of one automation's estimate. Attributes: account: None where the period has no cases."""

    account: Account | None
    baselines: list[BaselineInUse]


def evidence(roi: Roi, tenant: str, question: Question) -> Evidence:
    now = question.as_of or roi.clock.now()
    with snapshot(roi.engine, tenant) as connection:
        period, tally = roi.tally_in(connection, tenant, question, money=False)
        draws = repository.experiments(connection, tenant, question.automation, question.as_of)
        decided = repository.decided(connection, tenant, question.automation, question.as_of)
        left = _left(connection, tenant, question, now, (draws, decided))
        oldest = None if question.as_of is not None else repository.oldest_control(connection, tenant, question.automation)
        audited = scores.audits(connection, tenant, question.automation, question.as_of)
        stored = repository.baselines(connection, tenant, question.automation, at=min(now, period.last), as_of=question.as_of)
    accounts = {account.automation: account for account in figures.accounts(tally, Grade.D)}
    rates = dict(zip(audited, error_rates([found.sums for found in audited.values()]), strict=True))
    names = sorted({*accounts, *(draw.automation for draw in draws), *(known.automation for known in stored)})
    prices = Valuation.of(tally.rates, question.currency or tally.currency)
    parts = [
        _one(
            name,
            [draw for draw in draws if draw.automation == name],
            [row for row in decided if row.automation == name],
            left.get(name, soundness.Waiting()),
            _Behind(
                accounts.get(name),
                [
                    *_concurrent(accounts.get(name), period),
                    *(_stored(known, min(now, period.last)) for known in stored if known.automation == name),
                ],
            ),
            _errors(audited[name], rates[name], prices.loss(name)) if name in audited else None,
        )
        for name in names
    ]
    return Evidence(
        **dict(asked(question, period, tally)),
        soundness=soundness.worst((part.automation, part.soundness) for part in parts),
        undecided_since=oldest,
        automations=parts,
    )


def judged(roi: Roi, tenant: str, question: Question) -> Summary:
    """The summary with its headline, which says so where the experiment is broken, and with what a careful figure adds for errors."""
    with snapshot(roi.engine, tenant) as connection:
        return judged_in(connection, roi, tenant, question)


def judged_in(connection: Connection, roi: Roi, tenant: str, question: Question) -> Summary:
    """As `judged`; ``connection`` is of a `snapshot`."""
    answer, prices = roi.summary(connection, tenant, question)
    draws = repository.experiments(connection, tenant, question.automation, question.as_of)
    audited = scores.audits(connection, tenant, question.automation, question.as_of)
    found = soundness.worst((name, soundness.shown(soundness.examined(own))) for name, own in _by_automation(draws).items())
    headline = soundness.headline(answer.total, found, simulated=answer.simulated)
    return Summary(**charged(answer, audited, prices), soundness=found, headline=headline)


def _by_automation(draws: Iterable[Experiment]) -> dict[str, list[Experiment]]:
    found: dict[str, list[Experiment]] = {}
    for draw in draws:
        found.setdefault(draw.automation, []).append(draw)
    return found


def _left(
    connection: Connection, tenant: str, question: Question, now: datetime, known: tuple[Sequence[Experiment], Sequence[Decided]]
) -> dict[str, soundness.Waiting]:
    """Control cases that wait, by automation."""
    then = Grain.HOUR.start(now - integrity.PATIENCE)
    before = repository.experiments(connection, tenant, question.automation, then)
    young = repository.young_control(connection, tenant, question.automation, then, question.as_of)
    draws, decided = known
    return {
        name: soundness.waiting(
            [draw for draw in draws if draw.automation == name],
            [draw for draw in before if draw.automation == name],
            [row for row in decided if row.automation == name],
            young.get(name, 0),
        )
        for name in {draw.automation for draw in draws}
    }


def _one(
    name: str,
    draws: Sequence[Experiment],
    decided: Sequence[Decided],
    left: soundness.Waiting,
    behind: _Behind,
    errors: Errors | None,
) -> AutomationEvidence:
    found = soundness.examined(draws, decided, left)
    control = sum(draw.drawn_control for draw in draws)
    waiting = max(control - sum(row.cases for row in decided if row.arm == "control"), 0)
    return AutomationEvidence(
        automation=name,
        soundness=soundness.shown(found),
        findings=[_finding(finding) for finding in found.findings],
        draws=[_draw(draw) for draw in draws],
        opted_out=sum(draw.drawn_control + draw.drawn_automated for draw in draws if not 0 < draw.share < 1),
        crossovers=sum(draw.crossed_automated for draw in draws),
        undecided_control=waiting,
        undecided_share=(Decimal(waiting) / control).quantize(_SHARE) if control else None,
        undecided_old=left.old,
        baselines=behind.baselines,
        adjustment=None if behind.account is None else adjustment(behind.account),
        clocks=_clocks(draws),
        errors=errors,
    )


def _draw(draw: Experiment) -> Draw:
    total = draw.drawn_control + draw.drawn_automated
    return Draw(
        control_share=draw.share,
        control=draw.drawn_control,
        automated=draw.drawn_automated,
        expected_control=(total * draw.share).quantize(Decimal("0.01")),
    )


def _finding(found: integrity.Finding) -> Finding:
    return Finding.model_validate(
        {
            "name": found.name,
            "value": None if found.value is None else _rounded(found.value),
            "verdict": found.verdict,
            "observed": found.observed,
            "expected": None if found.expected is None else _rounded(found.expected),
        }
    )


def _rounded(value: float) -> Decimal:
    """Four digits; wealth may be astronomical, and is a number all the same."""
    return Decimal(f"{value:.4g}")


def _concurrent(account: Account | None, period: Period) -> list[BaselineInUse]:
    """Groups of strata that control cases of the period are the baseline of."""
    if account is None:
        return []
    return [
        BaselineInUse(
            stratum=group,
            grade=baseline.grade,
            n=baseline.n,
            mean_seconds=Decimal(repr(baseline.mean)).quantize(Decimal("0.001")),
            method=_CONCURRENT,
            measured_from=period.start,
            measured_to=period.end,
            expires_at=None,
            expired=False,
        )
        for group, baseline in sorted(account.fitted.baselines.items())
        if baseline.grade is Grade.A
    ]


def _stored(known: KnownBaseline, at: datetime) -> BaselineInUse:
    expired = known.expires_at <= at
    return BaselineInUse(
        stratum=known.stratum,
        grade=Grade.D if expired else known.grade,
        n=known.n,
        mean_seconds=known.mean.quantize(Decimal("0.001")),
        method=known.method,
        measured_from=known.measured_from,
        measured_to=known.measured_to,
        expires_at=known.expires_at,
        expired=expired,
    )


def _errors(audited: Audited, rate: ErrorRate | None, loss: tuple[Decimal, object] | None) -> Errors:
    sums = audited.sums
    share = outwards((None, None, None) if rate is None else (rate.low, rate.point, rate.high), _SHARE)
    each = None if loss is None else loss[0]
    return Errors(
        decisions=sums.decisions,
        drawn=sums.drawn,
        judged=sums.done,
        disputed=sums.disputed,
        wrong=sums.wrong,
        rate_low=share["low"],
        rate=share["point"],
        rate_high=share["high"],
        limit=audited.limit,
        braked=audited.braked,
        loss_per_error=None if each is None else amount(each),
        expected_loss=None if each is None or rate is None else amount(each * Decimal(repr(rate.point)) * sums.decisions),
        conservative_loss=None if each is None or rate is None else at_most(each * Decimal(repr(rate.high)) * sums.decisions, AMOUNT),
    )


def _clocks(draws: Sequence[Experiment]) -> Clocks:
    active, span, difference, beyond = (
        sum((getattr(draw, name) for draw in draws), Decimal(0)) for name in ("active", "span", "difference", "beyond_span")
    )
    return Clocks(
        reviews=sum(draw.reviews for draw in draws),
        apart=sum(draw.apart for draw in draws),
        active_hours=_hours(active),
        span_hours=_hours(span),
        difference_share=(difference / span).quantize(Decimal("0.0001")) if span else None,
        beyond_span_hours=_hours(beyond),
    )


def _hours(seconds: Decimal) -> Decimal:
    return (seconds / 3600).quantize(Decimal("0.001"))
