"""Carries out orders: claims cases with a commit of its own, has them run, and gives back what failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import structlog

from services.worker import repository
from services.worker.cost import Meter, ProcessMeter
from services.worker.rates import Rates
from services.worker.repository import ClaimRules, Returned
from services.worker.run import Failure, Runner
from shared.casework import repository as casework
from shared.casework.values import GivenUp
from shared.db import unit_of_work
from shared.errors import Retryable, UnknownAutomation
from shared.inference.files import ModelGone
from shared.telemetry import metrics

if TYPE_CHECKING:
    from datetime import timedelta
    from uuid import UUID

    from sqlalchemy import Engine

    from services.worker.cascade import Cascade
    from services.worker.case import Claimed
    from services.worker.policy import Policy
    from services.worker.rollout import Fleet
    from shared.clock import Clock

log = structlog.get_logger()

# Wall time after which an order begins nothing more, well below the task's soft limit of 20 s. The steward sends what is left again.
PATIENCE_SECONDS: Final = 10.0
ONE_VERSION: Final[Mapping[str, Fleet]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a case is a worker's, how often it may fail, and how long it rests after each failed attempt."""

    lease: timedelta
    attempt_cap: int
    rest: Callable[[int], timedelta]


class Decider:
    """One per process: engine, models and rates must have been made in it."""

    def __init__(
        self,
        engine: Engine,
        cascades: Mapping[str, Cascade],
        clock: Clock,
        limits: Limits,
        fleets: Mapping[str, Fleet] = ONE_VERSION,
        cpu: ProcessMeter | None = None,
    ) -> None:
        """Make one.

        Args:
            fleets: by automation, where several versions of its models are installed; the others have one, in ``cascades``.
            cpu: that of the one before it in this process; None where there was none.
        """
        self._engine = engine
        self._cascades = cascades
        self._clock = clock
        self._limits = limits
        self._rates = Rates(clock)
        self.cpu = cpu or ProcessMeter()
        self._runner = Runner(engine, clock, self._rates, self.cpu, fleets)
        # Whether a model that it was made with is gone; one that is made now reads the present manifest.
        self.is_outdated = False

    def decide(self, automation: str, ids: Sequence[UUID]) -> None:
        """Run every case of an order that may be run; the others are somebody else's, done, paused or used up.

        New cases run as one batch. A case that was tried before runs alone, and is claimed only then: if it ends the process, it takes no
        attempt from its neighbours.

        Raises:
            UnknownAutomation: it is not installed here.
            Retryable: the database is away, or a commit's outcome is unknown. Leases run out and the steward sends the cases again.
        """
        if automation not in self._cascades:
            raise UnknownAutomation(name=automation)
        try:
            self._decide(automation, ids)
        finally:
            metrics.worker_cpu_seconds.inc(self.cpu.lap() / 1e9)

    def _decide(self, automation: str, ids: Sequence[UUID]) -> None:
        rules = ClaimRules(automation, self._limits.lease, self._limits.attempt_cap)
        deadline = self._clock.monotonic() + PATIENCE_SECONDS
        if self._claim_and_run(ids, rules, deadline, fresh=True) == len(ids):
            return
        with unit_of_work(self._engine) as connection:
            # The steward's cap may be higher: it would send them for ever.
            given_up = casework.quarantine(connection, repository.lock_used_up(connection, ids, rules))
            again = repository.retries(connection, ids, rules)
        metrics.quarantined.inc(len(given_up))
        for case_id in given_up:
            log.error("case_quarantined", case_id=str(case_id))
        for case_id in again:
            if self._clock.monotonic() > deadline:
                break
            self._claim_and_run([case_id], rules, deadline, fresh=False)

    def _claim_and_run(self, ids: Sequence[UUID], rules: ClaimRules, deadline: float, *, fresh: bool) -> int:
        """How many were claimed."""
        started, meter = self._clock.monotonic(), Meter()
        with unit_of_work(self._engine) as connection:
            claims = repository.claim(connection, ids, rules, fresh=fresh)
            tenants = {claim.tenant_id for claim in claims}
            self._rates.refresh(connection, tenants)
            # Not remembered: a brake holds from the next batch on.
            policies = repository.policies(connection, rules.automation, tenants) if claims else {}
        if claims:
            failures = self._isolated(self._cascades[rules.automation], claims, meter, policies, deadline)
            self._return(failures, rules.automation)
            metrics.decide_seconds.labels(rules.automation).observe(self._clock.monotonic() - started)
        return len(claims)

    def _isolated(
        self, cascade: Cascade, claims: Sequence[Claimed], meter: Meter, policies: Mapping[str, Policy], deadline: float
    ) -> list[Failure]:
        """Run the cases; where that raises, halves of them, so that only the guilty one fails."""
        try:
            return self._runner.run(cascade, claims, meter, policies)
        except Retryable:
            raise
        except Exception as error:  # the one place that must survive whatever a case does
            if len(claims) == 1 or self._clock.monotonic() > deadline:
                log.exception("run_failed", cases=[str(claim.case_id) for claim in claims[:10]], automation=cascade.automation.name)
                return [Failure(claim, type(error).__name__) for claim in claims]
        middle = len(claims) // 2
        halves = (claims[:middle], claims[middle:])
        return [failure for half in halves for failure in self._isolated(cascade, half, meter, policies, deadline)]

    def _return(self, failures: Sequence[Failure], automation: str) -> None:
        if not failures:
            return
        if any(failure.error == ModelGone.__name__ for failure in failures):
            self.is_outdated = True
        cap = self._limits.attempt_cap
        used_up = [GivenUp(f.claim.case_id, f.claim.attempt, f.error) for f in failures if f.claim.attempt >= cap]
        again = [
            Returned(f.claim.case_id, f.claim.attempt, f.error, self._limits.rest(f.claim.attempt))
            for f in failures
            if f.claim.attempt < cap
        ]
        with unit_of_work(self._engine) as connection:
            repository.give_back(connection, again)
            given_up = casework.quarantine(connection, used_up)
        metrics.failed.labels(automation).inc(len(failures))
        metrics.quarantined.inc(len(given_up))
        log.warning("cases_failed", automation=automation, returned=len(again), quarantined=len(given_up), error=failures[0].error)
