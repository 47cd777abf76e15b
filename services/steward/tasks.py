"""Runs the periodic jobs, each in a thread of its own, so that a long catch-up delays no other."""

from __future__ import annotations

from threading import Event, Thread
from typing import TYPE_CHECKING

import structlog

from services.steward import service
from services.steward.schedule import slot_of, until_next
from shared.errors import Retryable
from shared.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Engine

    from services.steward.schedule import Job
    from shared.clock import Clock

log = structlog.get_logger()

# A little past the boundary, so that a wait that ends early does not see the old slot again.
_PAST_BOUNDARY = 0.005
STOP_SECONDS = 15.0


class Runner:
    """Attributes: name: of this steward in the diary of jobs, unique among those that run."""

    def __init__(self, engine: Engine, clock: Clock, name: str, jobs: Sequence[Job]) -> None:
        self._engine = engine
        self._clock = clock
        self._name = name
        self._stopped = Event()
        self._jobs = jobs
        self._threads = [Thread(target=self._loop, args=(job,), name=job.name, daemon=True) for job in jobs]

    def start(self) -> None:
        for job in self._jobs:
            metrics.job_period.labels(job.name).set(job.period.total_seconds())
            # A job that never succeeds is late too.
            metrics.job_last_success.labels(job.name).set(self._clock.now().timestamp())
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let the jobs that run now end."""
        self._stopped.set()
        deadline = self._clock.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._clock.monotonic()))

    def run_slot(self, job: Job, slot: datetime) -> bool:
        """Run the job if this steward gets the slot; returns whether it ran and succeeded. Raises nothing."""
        try:
            if not job.everywhere and not service.claim_slot(self._engine, job.name, slot, self._name):
                return False
            return self._run(job, slot)
        except Retryable as away:
            log.warning("job_postponed", job=job.name, reason=away.code)
        except Exception as error:
            log.exception("job_failed", job=job.name, error=type(error).__name__)
        return False

    def _run(self, job: Job, slot: datetime) -> bool:
        started = self._clock.monotonic()
        touched, failure = None, None
        try:
            touched = job.run()
        except Exception as error:
            failure = error
            raise
        finally:
            metrics.job_seconds.labels(job.name).observe(self._clock.monotonic() - started)
            if not job.everywhere:
                service.close_slot(self._engine, job.name, slot, touched=touched, error=None if failure is None else type(failure).__name__)
        metrics.job_last_success.labels(job.name).set(self._clock.now().timestamp())
        return True

    def _loop(self, job: Job) -> None:
        last: datetime | None = None
        while not self._stopped.is_set():
            slot = slot_of(self._clock.now(), job.period)
            if slot != last:
                self.run_slot(job, slot)
                last = slot
            self._stopped.wait(until_next(self._clock.now(), job.period) + _PAST_BOUNDARY)
