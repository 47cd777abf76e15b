"""What the steward does in each of its jobs; every function is one run, safe to repeat and to run twice at once."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import structlog

from services.steward.repository import evidence, reaping, rollups, runs, upkeep, watch
from services.steward.repository.reaping import Backoff
from shared.casework import remote_calls
from shared.casework import repository as casework
from shared.db import unit_of_work
from shared.errors import InvariantBroken
from shared.ledger import posting, sealing
from shared.ledger import repository as ledger
from shared.money import Money, currency
from shared.taskqueue.orders import Order, Orders
from shared.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from services.steward.settings import StewardSettings

log = structlog.get_logger()

MONTHS_AHEAD = 3
# Longer than any run of a case: by then whoever made a call has booked it, or never will.
LEFT_OVER = timedelta(minutes=10)
CALLS_AT_ONCE = 1000
# Windows rolled up, or sealed, in one run; the next run is a second away.
WINDOWS = 20


@dataclass(frozen=True, slots=True)
class Reaper:
    """Sends forgotten cases to the workers again, and gives up those that fail for ever.

    Attributes:
        alone: sends one order per case.
    """

    engine: Engine
    orders: Orders
    alone: Orders
    settings: StewardSettings

    def run(self) -> int:
        return self._take_back() + self._give_up() + self._send_again()

    def _take_back(self) -> int:
        with unit_of_work(self.engine) as connection:
            taken = reaping.take_back_expired(connection, self._backoff, attempt_cap=self.settings.attempt_cap, limit=self.settings.batch)
            claims = reaping.give_back_claims(connection)
        metrics.redispatched.labels("lease_expired").inc(taken)
        if taken or claims:
            log.info("taken_back", expired_leases=taken, expired_claims=claims)
        return taken + claims

    def _give_up(self) -> int:
        with unit_of_work(self.engine) as connection:
            hopeless = reaping.lock_hopeless(connection, attempt_cap=self.settings.attempt_cap, limit=self.settings.batch_alone)
            given_up = casework.quarantine(connection, hopeless)
        metrics.quarantined.inc(len(given_up))
        for case_id in given_up:
            log.error("case_quarantined", case_id=str(case_id))
        return len(given_up)

    def _send_again(self) -> int:
        depth = self.orders.depth()
        # Nothing to send over, or enough in it: what waits in a long queue is not forgotten.
        if depth is None or depth > self.settings.queue_limit:
            return 0
        with unit_of_work(self.engine) as connection:
            fresh = reaping.take_due(connection, self._backoff, attempts=range(1), grace=self.settings.grace, limit=self.settings.batch)
            failed = reaping.take_due(
                connection,
                self._backoff,
                attempts=range(1, self.settings.attempt_cap),
                grace=timedelta(0),
                limit=self.settings.batch_alone,
            )
        self.orders.send([Order(*case) for case in fresh])
        self.alone.send([Order(*case) for case in failed])
        metrics.redispatched.labels("waiting").inc(len(fresh) + len(failed))
        if fresh or failed:
            log.info("sent_again", fresh=len(fresh), failed=len(failed), queue_depth=depth)
        return len(fresh) + len(failed)

    @property
    def _backoff(self) -> Backoff:
        return Backoff(self.settings.backoff_base, self.settings.backoff_cap)


def roll_up(engine: Engine) -> int:
    """Bring the roll-ups up to now, or as far as one run goes; returns how many of their rows changed."""
    touched = 0
    for _ in range(WINDOWS):
        with unit_of_work(engine) as connection:
            window = rollups.lock_window(connection)
            if window is None:
                return touched
            if not window.empty:
                touched += rollups.make_forecasts(connection, window)
                touched += rollups.add_cases(connection, window)
                touched += rollups.add_lines(connection, window)
                touched += rollups.add_conservation(connection, window)
                touched += rollups.add_arrivals(connection, window)
            rollups.advance(connection, window)
        if window.complete:
            break
    return touched


def gather_evidence(engine: Engine) -> int:
    """As `roll_up`, for what stands beside the figures: draws, clocks, scores."""
    touched = 0
    for _ in range(WINDOWS):
        with unit_of_work(engine) as connection:
            window = rollups.lock_window(connection, evidence.HORIZON, evidence.FACTS)
            if window is None:
                return touched
            if not window.empty:
                touched += evidence.add_experiment(connection, window)
                touched += evidence.add_scores(connection, window)
            rollups.advance(connection, window, evidence.HORIZON)
        if window.complete:
            break
    return touched


def seal_ledger(engine: Engine) -> int:
    """Seal what was booked up to now, or as far as one run goes; returns how many entries became leaves and how many seals were made.

    Raises:
        LedgerDamaged: somebody took leaves away; nothing is sealed until they are restored.
    """
    touched = 0
    for _ in range(WINDOWS):
        with unit_of_work(engine) as connection:
            progress = sealing.seal(connection)
        if progress is None:
            break
        touched += progress.entries + progress.seals
        if progress.complete:
            break
    return touched


def ensure_partitions(engine: Engine) -> int:
    with unit_of_work(engine) as connection:
        return upkeep.ensure_partitions(connection, MONTHS_AHEAD)


def book_platform_costs(engine: Engine) -> int:
    """One line for every full hour that has none; returns how many were booked."""
    with unit_of_work(engine) as connection:
        return ledger.post_platform(connection, [platform_line(hour) for hour in upkeep.unbooked_hours(connection)])


def hourly_share(monthly: Decimal, year: int, month: int) -> Decimal:
    """Of a price per month: by the hours that this month has in UTC, so that they add up to the price."""
    return monthly / (monthrange(year, month)[1] * 24)


def platform_line(unbooked: upkeep.UnbookedHour) -> posting.Line:
    share = hourly_share(unbooked.monthly, unbooked.hour.year, unbooked.hour.month)
    return posting.for_platform(unbooked.tenant, unbooked.automation, Money(share, currency(unbooked.currency)), hour=unbooked.hour)


def book_remote_calls(engine: Engine) -> int:
    """Calls of remote models that no run of their case has booked; returns how many were."""
    with unit_of_work(engine) as connection:
        return remote_calls.book_left_over(connection, LEFT_OVER, CALLS_AT_ONCE)


def measure_waiting(engine: Engine, orders: Orders) -> int:
    """Set the gauges that must move: silence would look like health."""
    with unit_of_work(engine) as connection:
        found = watch.waiting(connection)
    for state in ("pending", "processing", "review", "quarantined"):
        metrics.open_cases.labels(state).set(found.open_cases.get(state, 0))
    metrics.pending_age.set(found.pending_age)
    metrics.outbox_age.set(found.outbox_age)
    metrics.delivery_age.set(found.delivery_age)
    metrics.review_age.set(found.review_age)
    metrics.failing_endpoints.set(found.failing_endpoints)
    for horizon, seconds in found.behind.items():
        metrics.behind.labels(horizon).set(seconds)
    depth = orders.depth()
    if depth is not None:
        metrics.queue_depth.set(depth)
    return sum(found.open_cases.values())


def count_poison(engine: Engine) -> int:
    with unit_of_work(engine) as connection:
        found = watch.poison(connection)
    for owner, records in found.items():
        metrics.poison.labels(owner).set(records)
    return sum(found.values())


def check_invariants(engine: Engine, pending_limit: timedelta) -> int:
    """Look at everything that must always hold; returns how many violations there are.

    Raises:
        InvariantBroken: at least one does not hold; every one of them is logged by name first.
    """
    checks: dict[str, Callable[[Connection], int]] = {
        "decided_without_decision": watch.decided_without_decision,
        "decision_without_case": watch.decision_without_case,
        "decision_not_sent_once": watch.decision_not_sent_once,
        "hole_in_consumed_ranges": watch.holes_in_consumed_ranges,
        "conservation_difference": watch.conservation_difference,
        "horizon_ahead_of_transactions": watch.horizon_ahead_of_transactions,
        "pending_too_long": lambda connection: watch.pending_too_long(connection, pending_limit),
    }
    broken = {}
    for name, check in checks.items():
        with unit_of_work(engine) as connection:
            count = check(connection)
        metrics.invariants_broken.labels(name).set(count)
        if count:
            broken[name] = count
            log.error("invariant_broken", invariant=name, count=count)
    if broken:
        raise InvariantBroken(**broken)
    return 0


def claim_slot(engine: Engine, job: str, slot: datetime, run_by: str) -> bool:
    with unit_of_work(engine) as connection:
        return runs.claim(connection, job, slot, run_by)


def close_slot(engine: Engine, job: str, slot: datetime, *, touched: int | None, error: str | None) -> None:
    with unit_of_work(engine) as connection:
        runs.finish(connection, job, slot, touched=touched, error=error)


def prune_runs(engine: Engine, keep: timedelta) -> int:
    with unit_of_work(engine) as connection:
        return runs.prune(connection, keep)


def database_answers(engine: Engine) -> bool:
    with unit_of_work(engine) as connection:
        return watch.answers(connection)
