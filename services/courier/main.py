"""Reads planned decisions from the outbox, writes deliveries and endpoints' health; emits signed webhooks and the decisions topic."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from services.courier.consumer import Courier
from services.courier.keyring import Keyring
from services.courier.publisher import Publisher
from services.courier.settings import CourierSettings
from services.courier.transport import Sender
from shared.clock import SystemClock
from shared.db import await_database, engine_for
from shared.security.guard import Policy
from shared.security.vault import Vault
from shared.settings import DatabaseSettings, KafkaSettings, ProcessSettings, SecretSettings, load_all
from shared.telemetry import logs
from shared.telemetry.errors import report_errors
from shared.web import health

if TYPE_CHECKING:
    from sqlalchemy import Engine

log = structlog.get_logger()
app = typer.Typer(add_completion=False, help="Decisions out: signed webhooks and the decisions topic.")


@dataclass(frozen=True, slots=True)
class Configuration:
    process: ProcessSettings
    courier: CourierSettings
    database: DatabaseSettings
    kafka: KafkaSettings
    secret: SecretSettings


@app.command()
def main(*, check: Annotated[bool, typer.Option("--check", help="Validate the settings and exit.")] = False) -> None:
    """Deliver decisions until SIGTERM."""
    configuration = load_all(Configuration)
    vault = Vault(configuration.secret)
    if check:
        typer.echo("The settings of the courier are valid.")
        return
    logs.configure("courier", configuration.process.log_level)
    report_errors(configuration.process, "courier")
    asyncio.run(_run(configuration, vault))


async def _run(configuration: Configuration, vault: Vault) -> None:
    stop, stopped = asyncio.Event(), Event()

    def end() -> None:
        stop.set()
        # Of the thread that waits for the database.
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    engine = engine_for(configuration.database, role="recoup_line", application="courier")
    sender = _sender(configuration.courier)
    publisher = _publisher(engine, configuration.kafka)
    clock = SystemClock()
    courier = Courier(
        engine=engine, sender=sender, keyring=Keyring(vault, clock), publisher=publisher, settings=configuration.courier, clock=clock
    )
    probes = health.serve(configuration.process.host, configuration.courier.port, courier.readiness)
    try:
        if await asyncio.to_thread(await_database, engine, stopped):
            log.info("courier_started", publishes=publisher is not None)
            await courier.run(stop)
    finally:
        sender.close()
        if publisher is not None:
            publisher.close()
        probes.close()
        engine.dispose()
    log.info("courier_ended")


def _sender(settings: CourierSettings) -> Sender:
    policy = Policy(networks=settings.allowed_networks, ports=settings.allowed_ports, require_https=settings.require_https)
    return Sender(policy, timeout=settings.timeout, clock=SystemClock(), ca_file=settings.ca_file)


def _publisher(engine: Engine, settings: KafkaSettings) -> Publisher | None:
    if not settings.bootstrap_servers:
        return None
    # Imported here: an installation without Kafka has no client.
    from services.courier.topic import DecisionsTopic  # noqa: PLC0415

    return Publisher(engine, DecisionsTopic(settings, SystemClock()))


if __name__ == "__main__":
    app()
