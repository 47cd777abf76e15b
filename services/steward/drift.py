"""Holds what each model says in a day against what it said at first, and raises an alarm, and no more, where it says other things."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from services.steward.repository import outputs
from services.steward.repository.outputs import Window
from shared.db import unit_of_work
from shared.measure.drift import Outputs, compared
from shared.telemetry import metrics

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from services.steward.repository.outputs import Key

log = structlog.get_logger()

# After the end of a day nearly all of its cases have been through the tiers.
SETTLE: Final = timedelta(hours=2)
DAYS_BACK: Final = 3
# A day with fewer cases is no reference, and with fewer than the second is not compared.
REFERENCE_CASES: Final = 500
WINDOW_CASES: Final = 100


def watch(engine: Engine) -> int:
    """Close days that have ended; returns how many windows were kept."""
    with unit_of_work(engine) as connection:
        days = outputs.open_days(connection, SETTLE, DAYS_BACK)
    return sum(_close(engine, tenant, day) for tenant, day in days)


def count(engine: Engine) -> int:
    """Set the gauge of models that have drifted."""
    with unit_of_work(engine) as connection:
        found = outputs.drifted_now(connection)
    metrics.drifted_models.clear()
    for automation, models in found.items():
        metrics.drifted_models.labels(automation).set(models)
    return sum(found.values())


def _close(engine: Engine, tenant: str, day: date) -> int:
    with unit_of_work(engine) as connection:
        return sum(_keep(connection, key, day, said) for key, said in outputs.said(connection, tenant, day).items())


def _keep(connection: Connection, key: Key, day: date, said: Outputs) -> bool:
    reference, compared_before = outputs.reference(connection, key)
    if reference is None or said.cases < WINDOW_CASES:
        return outputs.keep(connection, key, Window(day, said, is_reference=reference is None and said.cases >= REFERENCE_CASES))
    finding = compared(reference, said, compared_before + 1)
    kept = outputs.keep(connection, key, Window(day, said, finding=finding))
    if kept and finding.drifted:
        log.error("model_drifted", **key._asdict(), day=day.isoformat(), **asdict(finding))
    return kept
