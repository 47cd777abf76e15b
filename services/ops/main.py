"""Reads requests of operators, integrators and admins; writes reviews' answers, configuration and keys to Postgres; emits no messages."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer
from sqlalchemy import text
from tenacity import Retrying, retry_if_exception_type, stop_never, wait_exponential_jitter

from services.ops.endpoints.api import api
from services.ops.service.session import Ops
from services.ops.settings import OpsSettings
from shared.clock import SystemClock
from shared.db import engine_for, refuse_unsafe_database, unit_of_work
from shared.errors import InvariantBroken, Retryable
from shared.security.vault import Vault
from shared.settings import DatabaseSettings, ProcessSettings, SecretSettings, load
from shared.telemetry import logs
from shared.telemetry.errors import report_errors
from shared.web import serve
from shared.web.auth import Authenticator

if TYPE_CHECKING:
    from sqlalchemy import Engine

app = typer.Typer(add_completion=False, help="API for people: reviews, replay, configuration, keys.")


@app.command()
def main(*, check: Annotated[bool, typer.Option("--check", help="Only validate the settings.")] = False) -> None:
    """Answer until SIGTERM."""
    process, database, settings = load(ProcessSettings), load(DatabaseSettings), load(OpsSettings)
    vault = _vault()
    if check:
        typer.echo("ops: settings are valid")
        return
    logs.configure("ops", process.log_level)
    report_errors(process, "ops")
    engine = engine_for(database, role="recoup_api", application="ops")
    _refuse_unsafe(engine)
    clock = SystemClock()
    ops = Ops(engine, clock, vault, Authenticator(engine, clock), settings.claim_duration)
    serve.run(api(ops, threads=database.pool_size, readiness=lambda: _readiness(engine)), process.host, settings.port)
    engine.dispose()


def _vault() -> Vault:
    try:
        return Vault(load(SecretSettings))
    except InvariantBroken as error:
        raise SystemExit(_said(error.message)) from error


def _refuse_unsafe(engine: Engine) -> None:
    """Waits for a database that is not there yet; ends the process where it is not a safe one."""
    patient = Retrying(retry=retry_if_exception_type(Retryable), wait=wait_exponential_jitter(0.2, max=5), stop=stop_never, reraise=True)
    try:
        patient(_checked, engine)
    except InvariantBroken as error:
        raise SystemExit(_said(error.message)) from error


def _checked(engine: Engine) -> None:
    with unit_of_work(engine):
        # Only to turn a database that is away into Retryable.
        pass
    refuse_unsafe_database(engine)


def _readiness(engine: Engine) -> Mapping[str, bool]:
    try:
        with unit_of_work(engine) as connection:
            connection.execute(text("SELECT 1"))
    except Retryable:
        return {"database": False}
    return {"database": True}


def _said(message: str) -> int:
    sys.stderr.write(message + "\n")
    return 1


if __name__ == "__main__":
    app()
