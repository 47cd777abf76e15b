"""Applies what business systems say later about decided cases: lines that do not stand any more are taken back by reference."""

from __future__ import annotations

from dataclasses import dataclass
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
# Passed over in one run; all are tried again in the next one.
MOST_FAILED: Final = 10_000
# Failures of one run that are told with their stack.
TOLD: Final = 10


class OutcomesFailed(InvariantBroken):
    """Late outcomes could not be applied; the log says which and why."""

    code = "outcomes_failed"


def apply_outcomes(engine: Engine, patience: timedelta) -> int:
    """Apply those whose case is decided, and give up those that have named no case for too long; returns how many.

    Raises:
        OutcomesFailed: some could not be applied, and wait. All others were.
        Retryable: the database is away; or only some wait, for locks or statements that took too long.
    """
    run = _Run()
    after: outcomes.Place | None = None
    while run.failed < MOST_FAILED:
        with unit_of_work(engine) as connection:
            ready = outcomes.ready(connection, BATCH, after=after)
        before = run.failed
        for outcome_id, case_id, _ in ready:
            run.attempt(engine, outcome_id, case_id)
        if run.failed == before:
            break
        after = ready[-1][-1]
    run.applied += _give_up(engine, patience)
    if run.broken:
        raise OutcomesFailed(outcomes=run.broken)
    if run.postponed is not None:
        raise run.postponed
    return run.applied


@dataclass(slots=True)
class _Run:
    """Attributes: broken: could not be applied, whatever the database does; postponed: why others could not just now."""

    applied: int = 0
    failed: int = 0
    broken: int = 0
    postponed: Retryable | None = None

    def attempt(self, engine: Engine, outcome_id: UUID, case_id: UUID) -> None:
        """Whatever is wrong with one, others must not wait behind it for ever. Raises Retryable where the database does not answer."""
        try:
            self.applied += _apply(engine, outcome_id, case_id)
        except Retryable as error:
            # A lock or a statement that took too long is this one's; a database that is away is everybody's.
            with unit_of_work(engine) as connection:
                outcomes.ready(connection, 1)
            self.failed += 1
            self.postponed = error
        except Exception:
            if self.broken < TOLD:
                log.exception("outcome_failed", outcome_id=str(outcome_id), case_id=str(case_id))
            self.failed += 1
            self.broken += 1


def take_up_outcomes(engine: Engine) -> int:
    """Let those that were given up wait again where their case has come after all, as by a replay of its record; returns how many."""
    with unit_of_work(engine) as connection:
        taken_up = outcomes.take_up(connection)
    if taken_up:
        log.info("outcomes_taken_up", outcomes=taken_up)
    return taken_up


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
