"""Reads HTTP requests, API keys and sources; writes the event log and counts of refused events; emits orders where the log is the inbox."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from services.gateway.buckets import Buckets
from services.gateway.endpoints import router
from services.gateway.errors import UnknownSource
from services.gateway.openapi import DESCRIPTION
from services.gateway.rejections import Rejections
from services.gateway.remembered import Remembered
from services.gateway.repository import Repository
from services.gateway.service import Gateway
from services.gateway.settings import GatewaySettings
from services.gateway.source import Source, opened
from shared.clock import SystemClock
from shared.db import await_database, engine_for
from shared.security.vault import Vault
from shared.settings import (
    TIME_AHEAD,
    DatabaseSettings,
    EventSettings,
    KafkaSettings,
    ProcessSettings,
    RedisSettings,
    SecretSettings,
    load_all,
)
from shared.telemetry import logs
from shared.telemetry.errors import report_errors
from shared.web.app import create_app
from shared.web.auth import CACHE_SECONDS, Authenticator
from shared.web.serve import run
from shared.web.waiting import waiting_for_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import timedelta
    from uuid import UUID

    from fastapi import FastAPI
    from sqlalchemy import Engine
    from starlette.types import Lifespan

    from shared.clock import Clock
    from shared.eventlog.port import EventLog

app = typer.Typer(add_completion=False, help="HTTP in: webhooks and CloudEvents to the event log.")


@dataclass(frozen=True, slots=True)
class Configuration:
    process: ProcessSettings
    gateway: GatewaySettings
    event: EventSettings
    database: DatabaseSettings
    redis: RedisSettings
    kafka: KafkaSettings
    secret: SecretSettings


@app.command()
def main(*, check: Annotated[bool, typer.Option("--check", help="Validate the settings and exit.")] = False) -> None:
    """Take webhooks and CloudEvents over HTTP until SIGTERM."""
    configuration = load_all(Configuration)
    vault = Vault(configuration.secret)
    if check:
        typer.echo("The settings of the gateway are valid.")
        return
    logs.configure("gateway", configuration.process.log_level)
    report_errors(configuration.process, "gateway")
    engine = engine_for(configuration.database, role="recoup_api", application="gateway")
    with waiting_for_database(configuration.process.host, configuration.gateway.port):
        await_database(engine)
    log = event_log(engine, configuration.redis, configuration.kafka)
    api = build(configuration.gateway, engine, vault, log, SystemClock(), time_ahead=configuration.event.time_ahead)
    run(api, configuration.process.host, configuration.gateway.port)
    engine.dispose()


def event_log(engine: Engine, redis: RedisSettings, kafka: KafkaSettings) -> EventLog:
    """Kafka where brokers are configured, else the inbox itself."""
    # Imported here: with Kafka nobody here speaks to the workers, and an installation without Kafka has no client.
    if not kafka.bootstrap_servers:
        from shared.eventlog.direct import DirectLog  # noqa: PLC0415
        from shared.taskqueue.app import celery_app  # noqa: PLC0415
        from shared.taskqueue.orders import Orders  # noqa: PLC0415

        return DirectLog(engine, Orders(celery_app(redis)))
    from shared.eventlog.kafka import KafkaLog  # noqa: PLC0415
    from shared.intake.known import KnownEvents  # noqa: PLC0415

    return KafkaLog(kafka, KnownEvents(engine, redis))


def build(
    settings: GatewaySettings, engine: Engine, vault: Vault, event_log: EventLog, clock: Clock, *, time_ahead: timedelta = TIME_AHEAD
) -> FastAPI:
    """The application; the log is started and closed with it."""
    repository = Repository(engine)
    rejections = Rejections(repository.count_rejected, clock)
    buckets = Buckets(clock, per_second=settings.events_per_second, burst=settings.events_burst)
    trust = settings.outage_trust.total_seconds()
    keys = Remembered(Authenticator(engine, clock).verify, clock, fresh_seconds=CACHE_SECONDS, trust_seconds=trust)
    sources = Remembered(_find_source(repository, vault), clock, fresh_seconds=CACHE_SECONDS, trust_seconds=trust)
    api = create_app(
        title="Recoup gateway",
        service="gateway",
        clock=clock,
        # The log alone: while Postgres is away, Kafka goes on taking events of senders that are known.
        readiness=lambda: {"event_log": event_log.ready()},
        description=DESCRIPTION,
        body_limit=settings.body_limit,
        body_seconds=settings.body_timeout.total_seconds(),
        lifespan=_lifespan(event_log, rejections),
    )
    gateway = Gateway(event_log, buckets, rejections, clock, time_ahead)
    api.include_router(router(gateway, keys.get, sources.get, buckets.per_minute))
    return api


def _find_source(repository: Repository, vault: Vault) -> Callable[[UUID], Source]:
    def find(source_id: UUID) -> Source:
        row = repository.find_source(source_id)
        if row is None:
            raise UnknownSource
        return opened(row, vault)

    return find


def _lifespan(event_log: EventLog, rejections: Rejections) -> Lifespan[FastAPI]:
    @asynccontextmanager
    async def alive(_app: FastAPI) -> AsyncIterator[None]:
        await event_log.start()
        stop = asyncio.Event()
        counting = asyncio.create_task(rejections.run(stop))
        try:
            yield
        finally:
            stop.set()
            await counting
            await event_log.close()

    return alive


if __name__ == "__main__":
    app()
