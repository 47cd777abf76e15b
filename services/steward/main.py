"""Reads cases, decisions and ledger lines; writes roll-ups, platform costs and the diary of jobs; emits orders for forgotten cases."""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import dataclass
from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from services.steward import braking, drift, outcomes, overhead, service, telling, trials
from services.steward.schedule import Job
from services.steward.settings import StewardSettings
from services.steward.tasks import Runner
from shared.clock import SystemClock
from shared.db import await_database, engine_for
from shared.errors import Retryable
from shared.settings import DatabaseSettings, ProcessSettings, RedisSettings, load_all
from shared.taskqueue.app import celery_app
from shared.taskqueue.orders import Orders
from shared.telemetry import logs
from shared.telemetry.errors import check_in, report_errors
from shared.web.health import serve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

app = typer.Typer(add_completion=False, help="Reaper, roll-ups, partitions, platform costs, invariants.")
log = structlog.get_logger()

MONITOR = "recoup-steward"
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Settings:
    process: ProcessSettings
    database: DatabaseSettings
    redis: RedisSettings
    steward: StewardSettings


@app.command()
def main(*, check: Annotated[bool, typer.Option("--check", help="Validate the settings and exit.")] = False) -> None:
    """Find what was forgotten, keep the roll-ups, book fixed costs, watch the invariants. Two of them are safe."""
    settings = load_all(Settings)
    if check:
        typer.echo("The settings of the steward are valid.")
        return
    logs.configure("steward", settings.process.log_level)
    report_errors(settings.process, "steward")
    stopped, began = Event(), Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    engine = engine_for(settings.database, role="recoup_line", application="steward")
    health = serve(settings.process.host, settings.steward.port, lambda: {"database": _answers(engine), "jobs": began.is_set()})
    try:
        if await_database(engine, stopped):
            _run(settings, engine, began, stopped)
    finally:
        health.close()
        engine.dispose()


def jobs(settings: Settings, engine: Engine) -> Sequence[Job]:
    """Everything the steward does, and how often."""
    celery = celery_app(settings.redis)
    orders, clock = Orders(celery), SystemClock()
    reaper = service.Reaper(engine, orders, Orders(celery, batch=1), settings.steward)
    return (
        Job("reap", SECOND, reaper.run),
        Job("roll_up", SECOND, lambda: service.roll_up(engine)),
        Job("gather_evidence", SECOND, lambda: service.gather_evidence(engine)),
        Job("judge_audits", SECOND, lambda: braking.judge_audits(engine)),
        Job("count_brakes", 10 * SECOND, lambda: braking.count_brakes(engine), everywhere=True),
        Job("apply_outcomes", SECOND, lambda: outcomes.apply_outcomes(engine, settings.steward.outcome_patience)),
        # Not more often: those that are settled have no index.
        Job("take_up_outcomes", 10 * MINUTE, lambda: outcomes.take_up_outcomes(engine)),
        Job("seal_ledger", SECOND, lambda: service.seal_ledger(engine)),
        Job("measure_waiting", 5 * SECOND, lambda: service.measure_waiting(engine, orders), everywhere=True),
        # Not more often: the table has no index for it, and is large just when much is wrong.
        Job("count_poison", MINUTE, lambda: service.count_poison(engine), everywhere=True),
        Job("check_invariants", 10 * SECOND, lambda: service.check_invariants(engine, settings.steward.pending_limit), everywhere=True),
        # Books what is not booked yet, so a failed run is made good a minute later, not an hour.
        Job("book_platform_costs", MINUTE, lambda: service.book_platform_costs(engine)),
        Job("watch_drift", HOUR, lambda: drift.watch(engine)),
        Job("count_drift", MINUTE, lambda: drift.count(engine), everywhere=True),
        Job("judge_trials", 10 * SECOND, lambda: trials.judge(engine, clock)),
        Job("book_remote_calls", MINUTE, lambda: service.book_remote_calls(engine)),
        Job("book_overhead", MINUTE, lambda: overhead.book_overhead(engine, settings.steward.overhead_period)),
        Job("tell_savings", 10 * MINUTE, lambda: telling.tell_savings(engine, clock.now())),
        Job("tell_seals", 10 * MINUTE, lambda: telling.tell_seals(engine, clock.now())),
        Job("ensure_partitions", HOUR, lambda: service.ensure_partitions(engine)),
        Job("prune_runs", MINUTE, lambda: service.prune_runs(engine, settings.steward.keep_runs)),
        Job("check_in", MINUTE, lambda: _check_in(settings.process)),
    )


def _run(settings: Settings, engine: Engine, began: Event, stopped: Event) -> None:
    clock = SystemClock()
    runner = Runner(engine, clock, f"{socket.gethostname()}:{os.getpid()}", jobs(settings, engine))
    runner.start()
    began.set()
    log.info("steward_started", port=settings.steward.port)
    stopped.wait()
    runner.stop()
    log.info("steward_stopped")


def _answers(engine: Engine) -> bool:
    try:
        return service.database_answers(engine)
    except Retryable:
        return False


def _check_in(process: ProcessSettings) -> int:
    check_in(process, MONITOR)
    return 0


if __name__ == "__main__":
    app()
