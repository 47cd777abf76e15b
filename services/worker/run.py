"""One run of claimed cases: read, ask the cascade, write every effect behind the fence. All or nothing but for what a tier failed on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

import structlog

from services.worker import repository, rollout
from services.worker.case import Case, Claimed, read
from services.worker.cost import Meter, ProcessMeter, booked_ns, compute_lines
from services.worker.effects import Effects, for_control, for_result
from services.worker.policy import UNSET, Policy
from services.worker.rollout import Fleet
from shared.casework import audits, remote_calls
from shared.casework import repository as casework
from shared.casework.rollouts import Pair, record_pairs
from shared.db import unit_of_work
from shared.ledger import repository as ledger
from shared.telemetry import metrics, trace

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from services.worker.cascade import Cascade, CascadeResult
    from services.worker.rates import Rates
    from shared.automations.contract import Automation
    from shared.clock import Clock

log = structlog.get_logger()

# The only version there is.
DEFAULT: Final = "default"


class Failure(NamedTuple):
    """Attributes: error: class of the exception."""

    claim: Claimed
    error: str


class Runner:
    def __init__(self, engine: Engine, clock: Clock, rates: Rates, cpu: ProcessMeter, fleets: Mapping[str, Fleet]) -> None:
        """Args: fleets: by automation, where several versions of its models may be installed."""
        self._fleets = fleets
        self._engine = engine
        self._clock = clock
        self._rates = rates
        self._cpu = cpu

    def run(self, cascade: Cascade, claims: Sequence[Claimed], meter: Meter, policies: Mapping[str, Policy]) -> list[Failure]:
        """Settle the cases; returns those that a tier failed on, which stay claimed.

        Args:
            policies: by tenant, as they were when the cases were claimed.

        Raises:
            Retryable: the database is away, or the outcome of the commit is unknown.
            Exception: a payload or an effect is not possible; nothing has been written for any of the cases.
        """
        cases = [read(cascade.automation, claim) for claim in claims]
        self._find_duplicates(cases)
        self._set_terms(cases, policies)
        answers = rollout.decide(self._fleets.get(cascade.automation.name) or Fleet(DEFAULT, {DEFAULT: cascade}), cases, policies)
        effects, failures = self._effects(cascade.automation, cases, answers.results, policies)
        if effects:
            self._write(effects, answers.pairs, meter)
        return failures

    def _find_duplicates(self, cases: Sequence[Case]) -> None:
        """Both arms are registered; only the automated one is told."""
        if all(case.fingerprint is None for case in cases):
            return
        with unit_of_work(self._engine) as connection:
            first = repository.register_fingerprints(connection, cases)
        for case in cases:
            if not case.is_control:
                case.duplicate_of = first.get(case.case_id)

    def _set_terms(self, cases: Sequence[Case], policies: Mapping[str, Policy]) -> None:
        """As the tenant has set them, with the price of CPU time, which a budget of money counts too."""
        prices = self._rates.cpu_hours()
        terms = {tenant: replace(policy.terms, cpu_hour=prices.get(tenant)) for tenant, policy in policies.items()}
        for case in cases:
            case.terms = terms.get(case.tenant_id, case.terms)

    def _effects(
        self, automation: Automation, cases: Sequence[Case], results: Mapping[UUID, CascadeResult], policies: Mapping[str, Policy]
    ) -> tuple[list[Effects], list[Failure]]:
        effects = [for_control(case) for case in cases if case.is_control]
        failures: list[Failure] = []
        now = self._clock.now()
        for case in (case for case in cases if not case.is_control):
            result = results[case.case_id]
            if result.error is not None:
                failures.append(Failure(case.claim, result.error))
            else:
                policy = policies.get(case.tenant_id, UNSET)
                effects.append(for_result(case, result, automation, policy, at=now))
        return effects, failures

    def _write(self, effects: Sequence[Effects], pairs: Mapping[UUID, Pair], meter: Meter) -> None:
        cpu_ns = 0
        with unit_of_work(self._engine) as connection:
            mine = casework.mark_processed(connection, [effect.mark for effect in effects])
            kept = [effect for effect in effects if effect.mark.case_id in mine]
            if kept:
                record_pairs(connection, [pairs[effect.case.case_id] for effect in kept if effect.case.case_id in pairs])
                cpu_ns = self._write_kept(connection, kept, meter)
        self._cpu.book(cpu_ns)
        metrics.booked_cpu_seconds.labels(effects[0].case.automation).inc(cpu_ns / 1e9)
        _count(kept, fenced=len(effects) - len(kept))

    def _write_kept(self, connection: Connection, kept: Sequence[Effects], meter: Meter) -> int:
        """CPU time that stands on the cases' ledger lines, in nanoseconds."""
        casework.record_decisions(connection, [effect.decided for effect in kept if effect.decided is not None])
        audits.record_draws(connection, [effect.drawn for effect in kept if effect.drawn is not None])
        casework.open_reviews(connection, [effect.review for effect in kept if effect.review is not None])
        repository.record_inferences(connection, kept)
        remote_calls.book(connection, [effect.case.case_id for effect in kept if effect.may_have_been_paid_for])
        ledger.post(connection, [effect.cash for effect in kept if effect.cash is not None])
        # Last, because only then is the cost known, but for that of these lines themselves.
        lines = compute_lines(kept, meter.lap(), self._rates.cpu_hours(), at=self._clock.now())
        ledger.post(connection, lines)
        repository.record_metered(connection, lines)
        return booked_ns(lines)


def _count(kept: Sequence[Effects], *, fenced: int) -> None:
    settled = Counter((effect.case.automation, effect.settled_by) for effect in kept)
    for (automation, result), count in settled.items():
        metrics.decided.labels(automation, result).inc(count)
    tiers: Counter[tuple[str, str]] = Counter()
    for effect in kept:
        for step in effect.result.steps if effect.result else ():
            tiers[effect.case.automation, step.tier] += step.result.usage.cpu_ns
    for (automation, tier), cpu_ns in tiers.items():
        metrics.inference_cpu_seconds.labels(automation, tier).inc(cpu_ns / 1e9)
    if kept:
        log.info(
            "cases_decided",
            automation=kept[0].case.automation,
            **{f"by_{result}": count for (_, result), count in settled.items()},
            trace_ids=trace.trace_ids(effect.case.claim.traceparent for effect in kept),
        )
    if fenced:
        metrics.fenced.inc(fenced)
        log.warning("effects_fenced", cases=fenced)
