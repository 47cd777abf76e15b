"""Reads the events topic; writes cases, poison records and consumed ranges; emits orders for the workers and dead letters."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Annotated

import structlog
import typer
from kafka.errors import KafkaError

from services.dispatcher.consumer import Line, Loop, consumer
from services.dispatcher.dead_letters import DeadLetters
from services.dispatcher.progress import Progress, Pulse, Stalled
from services.dispatcher.service import Intake
from services.dispatcher.settings import DispatcherSettings
from shared.clock import SystemClock
from shared.db import await_database, engine_for
from shared.errors import InvariantBroken
from shared.eventlog.kafka_sender import refuse_slow_checksums
from shared.eventlog.reachable import some_broker_listens
from shared.intake.announcer import Announcer
from shared.settings import DatabaseSettings, EventSettings, KafkaSettings, ProcessSettings, RedisSettings, load_all
from shared.taskqueue.app import celery_app
from shared.taskqueue.orders import Orders
from shared.telemetry import logs
from shared.telemetry.errors import report_errors
from shared.web.health import serve

if TYPE_CHECKING:
    from kafka import KafkaConsumer
    from sqlalchemy import Engine

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help="Kafka to the inbox.")
log = structlog.get_logger()

RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Settings:
    process: ProcessSettings
    database: DatabaseSettings
    redis: RedisSettings
    kafka: KafkaSettings
    dispatcher: DispatcherSettings
    event: EventSettings


class Health:
    """Ready once the loop runs and both ends answer."""

    def __init__(self) -> None:
        self.loop: Loop | None = None
        self.pulse: Pulse | None = None

    def __call__(self) -> dict[str, bool]:
        if self.loop is None or self.pulse is None:
            return {"kafka": False, "database": False, "loop": False}
        return {"kafka": self.loop.kafka_answers, "database": self.loop.database_answers, "loop": self.pulse.beats}


@app.command()
def main(*, check: Annotated[bool, typer.Option("--check", help="Validate the settings and exit.")] = False) -> None:
    """Store what is in Kafka, once. As many of them as the topic has partitions share the work."""
    settings = _settings()
    if check:
        typer.echo("The settings of the dispatcher are valid.")
        return
    logs.configure("dispatcher", settings.process.log_level)
    report_errors(settings.process, "dispatcher")
    stopped = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    engine = engine_for(settings.database, role="recoup_line", application="dispatcher")
    readiness = Health()
    health = serve(settings.process.host, settings.dispatcher.port, readiness)
    try:
        if await_database(engine, stopped) and (client := _await_broker(settings, stopped)) is not None:
            _run(settings, engine, client, readiness, stopped)
    finally:
        health.close()
        engine.dispose()


def _run(settings: Settings, engine: Engine, client: KafkaConsumer, readiness: Health, stopped: Event) -> None:
    clock = SystemClock()
    intake = Intake(engine, clock, settings.event.time_ahead)
    line = Line(intake, Announcer(Orders(celery_app(settings.redis))), DeadLetters(settings.kafka))
    pulse = Pulse(clock, settings.dispatcher.hang_after)
    loop = Loop(client, line, Progress(clock, settings.dispatcher.stall_after), pulse, clock)
    readiness.loop, readiness.pulse = loop, pulse
    log.info("dispatcher_started", topic=settings.kafka.events_topic, port=settings.dispatcher.port)
    try:
        loop.run(stopped)
    except Stalled as error:
        log.error("consumer_stalled", **error.context)  # noqa: TRY400  # the stack says nothing here
        raise typer.Exit(1) from None
    except Exception as error:
        # Nothing of the batch in hand is committed: whoever comes next starts with it.
        log.exception("dispatcher_failed")
        raise typer.Exit(1) from error
    finally:
        client.close(autocommit=False, timeout_ms=5000)
        line.announcer.close()
        line.dead_letters.close()
        pulse.close()
    log.info("dispatcher_stopped")


def _settings() -> Settings:
    """Exits with status 2 where a setting is missing or wrong."""
    settings = load_all(Settings)
    try:
        refuse_slow_checksums()
    except InvariantBroken as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(1) from None
    if not settings.kafka.bootstrap_servers:
        typer.echo("RECOUP_KAFKA_BOOTSTRAP_SERVERS: Field required; the dispatcher has nothing to do without Kafka", err=True)
        raise typer.Exit(2)
    return settings


def _await_broker(settings: Settings, stopped: Event) -> KafkaConsumer | None:
    """None where the process was told to end before a broker answered."""
    while not stopped.is_set():
        if some_broker_listens(settings.kafka.bootstrap_servers):
            try:
                return consumer(settings.kafka, settings.dispatcher.batch)
            except KafkaError as error:
                log.warning("kafka_unavailable", error=type(error).__name__)
        else:
            log.warning("kafka_unreachable")
        stopped.wait(RETRY_SECONDS)
    return None


if __name__ == "__main__":
    app()
