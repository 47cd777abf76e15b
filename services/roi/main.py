"""Reads roll-ups and ledger lines; writes nothing; answers HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import structlog
import typer
from fastapi import FastAPI
from tenacity import Retrying, retry_if_exception_type, wait_exponential_jitter

from services.roi.endpoints.api import api
from services.roi.service import Roi
from services.roi.settings import RoiSettings
from shared.clock import SystemClock
from shared.db import engine_for, refuse_unsafe_database
from shared.errors import InvariantBroken, Retryable
from shared.measure.footprint import Assumptions
from shared.settings import DatabaseSettings, ProcessSettings, load_all
from shared.telemetry import logs
from shared.telemetry.errors import report_errors
from shared.web import serve
from shared.web.auth import Authenticator

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from shared.clock import Clock

log = structlog.get_logger()
app = typer.Typer(add_completion=False, help="API for figures: what automation saved.")


@dataclass(frozen=True, slots=True)
class Settings:
    process: ProcessSettings
    roi: RoiSettings
    database: DatabaseSettings


@app.command()
def main(*, check: Annotated[bool, typer.Option("--check", help="Validate the settings and exit.")] = False) -> None:
    """Answer until SIGTERM."""
    settings = load_all(Settings)
    process, database = settings.process, settings.database
    if check:
        typer.echo("The settings of roi are valid.")
        return
    logs.configure("roi", process.log_level)
    report_errors(process, "roi")
    engine = engine_for(database, role="recoup_api", application="roi")
    clock = SystemClock()
    assumed = Assumptions(settings.roi.watts_per_core, settings.roi.power_overhead, settings.roi.grams_per_kwh)
    roi = Roi(engine, clock, assumed)
    _await_safe_database(engine, roi)
    serve.run(build(roi, engine, clock, threads=database.pool_size), process.host, settings.roi.port)
    engine.dispose()


def build(roi: Roi, engine: Engine, clock: Clock, *, threads: int) -> FastAPI:
    return api(roi, Authenticator(engine, clock), threads=threads, readiness=lambda: _readiness(roi))


def _await_safe_database(engine: Engine, roi: Roi) -> None:
    def checked() -> None:
        # Turns a database that is away into Retryable.
        roi.database_answers()
        refuse_unsafe_database(engine)

    patient = Retrying(retry=retry_if_exception_type(Retryable), wait=wait_exponential_jitter(multiplier=0.2, max=5), reraise=True)
    try:
        patient(checked)
    except InvariantBroken as error:
        log.critical("database_refused", code=error.code, reason=error.message)
        raise typer.Exit(1) from None


def _readiness(roi: Roi) -> Mapping[str, bool]:
    try:
        roi.database_answers()
    except Retryable:
        return {"database": False}
    return {"database": True}


if __name__ == "__main__":
    app()
