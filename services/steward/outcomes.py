"""Applies what business systems say later about decided cases: lines that do not stand any more are taken back by reference."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from services.steward.repository import outcomes
from shared.casework.notices import restated, tell
from shared.casework.restating import restate
from shared.db import unit_of_work
from shared.errors import InvariantBroken, Retryable
from shared.telemetry import metrics

if TYPE_CHECKING:
    from sqlalchemy import Engine

log = structlog.get_logger()

# Applied in one run, each in a transaction of its own; the next run is a second away.
BATCH: Final = 200
# Passed over in one run: where so many cannot be applied, it is not they that are wrong, and each is tried again in the next run.
MOST_FAILED: Final = 1000


class OutcomesFailed(InvariantBroken):
    """Late outcomes could not be applied; the log says which and why."""

    code = "outcomes_failed"


def apply_outcomes(engine: Engine, patience: timedelta) -> int:
    """Apply those whose case is decided, and give up those that have named no case for too long; returns how many.

    Raises:
        OutcomesFailed: some could not be applied, and wait. All others were.
    """
    applied, failed = 0, set[UUID]()
    while len(failed) < MOST_FAILED:
        with unit_of_work(engine) as connection:
            ready = outcomes.ready(connection, BATCH, but=failed)
        before = len(failed)
        for outcome_id, case_id in ready:
            try:
                applied += _apply(engine, outcome_id, case_id)
            except Retryable:
                raise
            except Exception:  # whatever it is, others must not wait behind it for ever
                log.exception("outcome_failed", outcome_id=str(outcome_id), case_id=str(case_id))
                failed.add(outcome_id)
        if len(failed) == before:
            break
    applied += _give_up(engine, patience)
    if failed:
        raise OutcomesFailed(outcomes=len(failed))
    return applied


def _give_up(engine: Engine, patience: timedelta) -> int:
    with unit_of_work(engine) as connection:
        unmatched = outcomes.give_up(connection, patience)
    if unmatched:
        metrics.late_outcomes.labels("unmatched").inc(unmatched)
        log.warning("outcomes_unmatched", outcomes=unmatched)
    return unmatched


def _apply(engine: Engine, outcome_id: UUID, case_id: UUID) -> bool:
    with unit_of_work(engine) as connection:
        due = outcomes.lock(connection, outcome_id, case_id)
        if due is None:
            return False
        at = outcomes.mark_applied(connection, due)
        lines = restate(connection, case_id)
        outcomes.count_lines(connection, outcome_id, len(lines))
        if lines:
            told = restated(due, subject=str(due.id), result=due.result, since=due.occurred_at, at=at, lines=lines)
            tell(connection, [told])
    metrics.late_outcomes.labels(due.result).inc()
    log.info("outcome_applied", case_id=str(case_id), result=due.result, lines=len(lines))
    return True
