"""Reads requests of operators, integrators and admins; writes reviews' answers, configuration and keys to Postgres; emits no messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from sqlalchemy import text

from services.ops.endpoints.api import api
from services.ops.service.session import Ops
from services.ops.settings import OpsSettings
from shared.clock import SystemClock
from shared.db import await_database, engine_for, unit_of_work
from shared.errors import Retryable
from shared.security.vault import Vault
from shared.settings import DatabaseSettings, EventSettings, ProcessSettings, SecretSettings, load_all
from shared.telemetry import logs
from shared.telemetry.errors import report_errors
from shared.web import serve
from shared.web.auth import Authenticator
from shared.web.waiting import waiting_for_database

if TYPE_CHECKING:
    from sqlalchemy import Engine

app = typer.Typer(add_completion=False, help="API for people: reviews, replay, configuration, keys.")


@dataclass(frozen=True, slots=True)
class Settings:
    process: ProcessSettings
    ops: OpsSettings
    database: DatabaseSettings
    secret: SecretSettings
    event: EventSettings


@app.command()
def main(*, check: Annotated[bool, typer.Option("--check", help="Validate the settings and exit.")] = False) -> None:
    """Answer people over HTTP until SIGTERM: reviews, replay, configuration."""
    settings = load_all(Settings)
    process, database, vault = settings.process, settings.database, Vault(settings.secret)
    if check:
        typer.echo("The settings of ops are valid.")
        return
    logs.configure("ops", process.log_level)
    report_errors(process, "ops")
    engine = engine_for(database, role="recoup_api", application="ops")
    with waiting_for_database(process.host, settings.ops.port):
        await_database(engine)
    clock = SystemClock()
    ops = Ops(engine, clock, vault, Authenticator(engine, clock), settings.ops.claim_duration, settings.event.time_ahead)
    serve.run(api(ops, threads=database.pool_size, readiness=lambda: _readiness(engine)), process.host, settings.ops.port)
    engine.dispose()


def _readiness(engine: Engine) -> Mapping[str, bool]:
    try:
        with unit_of_work(engine) as connection:
            connection.execute(text("SELECT 1"))
    except Retryable:
        return {"database": False}
    return {"database": True}


if __name__ == "__main__":
    app()
