"""Looks at every version of a model that is tried, and takes back the one that is proven to be wrong more often."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from services.steward.repository import trials
from shared.casework import rollouts
from shared.db import unit_of_work
from shared.telemetry import metrics

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from services.steward.repository.trials import Trial
    from shared.clock import Clock

log = structlog.get_logger()


def judge(engine: Engine, clock: Clock) -> int:
    """Returns how many versions were taken back; each once, however many stewards look."""
    with unit_of_work(engine) as connection:
        running = trials.running(connection)
    return sum(_judge(engine, clock, trial) for trial in running)


def _judge(engine: Engine, clock: Clock, trial: Trial) -> bool:
    with unit_of_work(engine) as connection:
        evidence = rollouts.evidence(connection, trial.tenant_id, trial.automation, trial.version, trial.since)
        found = evidence.as_dict(clock.now())
        if not evidence.difference.is_worse:
            trials.note(connection, trial, found)
            return False
        taken = trials.take_back(connection, trial, found)
    if taken:
        metrics.models_taken_back.labels(trial.automation).inc()
        log.error("model_taken_back", tenant=trial.tenant_id, automation=trial.automation, version=trial.version, **_figures(found))
    return taken


def _figures(found: dict[str, object]) -> dict[str, object]:
    return {name: found[name] for name in ("cases", "observed", "difference", "low", "high")}
