"""Reads roll-ups and ledger lines; writes nothing; answers HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from fastapi import FastAPI

from services.roi.endpoints.api import api
from services.roi.service import Roi
from services.roi.settings import RoiSettings
from shared.clock import SystemClock
from shared.db import await_database, engine_for
from shared.errors import Retryable
from shared.measure.footprint import Assumptions
from shared.settings import DatabaseSettings, ProcessSettings, load_all
from shared.telemetry import logs
from shared.telemetry.errors import report_errors
from shared.web import serve
from shared.web.auth import Authenticator
from shared.web.waiting import waiting_for_database

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from shared.clock import Clock

app = typer.Typer(add_completion=False, help="API for figures: what automation saved.")


@dataclass(frozen=True, slots=True)
class Settings:
    process: ProcessSettings
    roi: RoiSettings
    database: DatabaseSettings


@app.command()
def main(*, check: Annotated[bool, typer.Option("--check", help="Validate the settings and exit.")] = False) -> None:
    """Answer over HTTP until SIGTERM what automation saved."""
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
    with waiting_for_database(process.host, settings.roi.port):
        await_database(engine)
    serve.run(build(roi, engine, clock, threads=database.pool_size), process.host, settings.roi.port)
    engine.dispose()


def build(roi: Roi, engine: Engine, clock: Clock, *, threads: int) -> FastAPI:
    return api(roi, Authenticator(engine, clock), threads=threads, readiness=lambda: _readiness(roi))


def _readiness(roi: Roi) -> Mapping[str, bool]:
    try:
        roi.database_answers()
    except Retryable:
        return {"database": False}
    return {"database": True}


if __name__ == "__main__":
    app()
