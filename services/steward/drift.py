"""Holds what each model says in a day against what it said before, and raises an alarm, and no more, where it says other things.

Scores are held against those of the labels that the model was certified on, which is what its thresholds hold for, where its pack says what
they were; else against the first day. Labels always are: which ones customers ask for is theirs.
"""

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
from shared.telemetry.gauges import show_only

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine

    from services.steward.repository.outputs import Key

log = structlog.get_logger()

# After the end of a day nearly all of its cases have been through the tiers.
SETTLE: Final = timedelta(hours=2)
DAYS_BACK: Final = 3
# A day with fewer cases is no reference, and with fewer than the second is not compared; nor are so few certification labels a reference.
# The test counts their own sampling error.
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
    show_only(metrics.drifted_models, found)
    return sum(found.values())


def _close(engine: Engine, tenant: str, day: date) -> int:
    with unit_of_work(engine) as connection:
        return sum(_keep(connection, key, day, said) for key, said in outputs.said(connection, tenant, day).items())


def _keep(connection: Connection, key: Key, day: date, said: Outputs) -> bool:
    first, compared_before = outputs.reference(connection, key)
    certified = _enough(outputs.certified(connection, key, day))
    reference = _against(certified, first, said)
    window = Window(day, said, is_reference=first is None and said.cases >= REFERENCE_CASES)
    if reference is None or said.cases < WINDOW_CASES:
        return outputs.keep(connection, key, window)
    finding = compared(reference, said, compared_before + 1)
    window = window._replace(finding=finding, certified=certified is not None)
    kept = outputs.keep(connection, key, window)
    if kept and finding.drifted:
        log.error("model_drifted", **key._asdict(), day=day.isoformat(), certified=window.certified, **asdict(finding))
    return kept


def _enough(scores: Sequence[int] | None) -> Sequence[int] | None:
    return scores if scores is not None and sum(scores) >= WINDOW_CASES else None


def _against(certified: Sequence[int] | None, first: Outputs | None, said: Outputs) -> Outputs | None:
    """None: nothing yet. Where there is no first day, its labels are the day's own."""
    return first if certified is None else Outputs(certified, (first or said).labels)
