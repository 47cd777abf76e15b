"""Whether an automation must stop by itself: what was found takes its place in the evidence, and evidence that is strong enough brakes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Final

import numpy as np
import structlog

from services.steward.repository import auditing, rollups
from services.steward.repository.auditing import Judged, StoredEvidence
from shared.casework.audits import HORIZON
from shared.casework.notices import Notice, NoticeKind, tell
from shared.db import unit_of_work
from shared.ids import uuid7
from shared.measure.brake import Evidence, Rule
from shared.measure.error_rate import AuditSums, ErrorRate, error_rate
from shared.measure.rounding import outwards
from shared.telemetry import metrics
from shared.telemetry.gauges import show_only

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

log = structlog.get_logger()

# Where a tenant has set none; the column's default too.
DEFAULT_LIMIT: Final = Decimal("0.05")
# Windows taken in one run; the next run is a second away.
WINDOWS: Final = 20
_MILLIONTH: Final = Decimal("0.000001")


def judge_audits(engine: Engine) -> int:
    """Bring sums and evidence up to now, and brake where they say so; returns how many rows of sums changed and brakes were pulled."""
    touched = 0
    for _ in range(WINDOWS):
        with unit_of_work(engine) as connection:
            window = rollups.lock_window(connection, HORIZON, auditing.FACTS)
            if window is None:
                return touched
            if not window.empty:
                touched += auditing.add_sums(connection, window)
                touched += _weigh_all(connection, auditing.judged(connection, window))
            rollups.advance(connection, window, HORIZON)
        if window.complete:
            break
    return touched


def count_brakes(engine: Engine) -> int:
    """Set the gauge of brakes that are on."""
    with unit_of_work(engine) as connection:
        found = auditing.braked(connection)
    show_only(metrics.braked, dict(found))
    return sum(count for _, count in found)


def _weigh_all(connection: Connection, found: Sequence[Judged]) -> int:
    """How many brakes were pulled. Sorted, so that two stewards lock evidence in one order; each automation keeps the order of its own."""
    ordered = sorted(found, key=lambda judged: (judged.tenant_id, judged.automation))
    groups = groupby(ordered, key=lambda judged: (judged.tenant_id, judged.automation))
    return sum(_weigh(connection, tenant, automation, list(group)) for (tenant, automation), group in groups)


def _weigh(connection: Connection, tenant: str, automation: str, found: Sequence[Judged]) -> bool:
    stored = auditing.evidence(connection, tenant, automation)
    fresh = [judged for judged in found if stored is None or judged.xid >= stored.horizon]
    if not fresh:
        return False
    limit = auditing.limit(connection, tenant, automation, DEFAULT_LIMIT)
    sums = auditing.sums(connection, tenant, automation)
    weights = {least: auditing.weight(connection, tenant, automation, least) for least in {judged.least for judged in fresh}}
    evidence = add(_evidence(stored), fresh, float(limit), weights)
    wrong = sum(judged.wrong for judged in fresh) + (0 if stored is None else stored.wrong)
    auditing.keep_evidence(connection, tenant, automation, _stored(evidence, wrong, 0 if stored is None else stored.horizon))
    if not evidence.brakes():
        return False
    return _brake(connection, tenant, automation, shown(evidence.audits, wrong, limit, sums))


def add(evidence: Evidence, found: Iterable[Judged], limit: float, weights: Mapping[Decimal, float]) -> Evidence:
    """Take in verdicts, one after the other.

    Args:
        weights: of the limit, by least probability. A decision that was likelier to be drawn counts less, so the limit is scaled by the
            least probability over the mean one of the decisions that were made while it was the least.
    """
    for judged in found:
        rule = Rule(limit, weight=weights[judged.least])
        rule.add(evidence, np.asarray(float(judged.least / judged.probability) if judged.wrong else 0.0))
    return evidence


def shown(audits: int, wrong: int, limit: Decimal, sums: AuditSums) -> dict[str, object]:
    """What a person sees of the evidence: counts since the last release, and the rate over all time."""
    rate = error_rate(sums)
    bounds = None if rate is None else _bounds(rate)
    return {"audits": audits, "wrong": wrong, "limit": format(limit, "f"), "error_rate": bounds, "decisions": sums.decisions}


def _bounds(rate: ErrorRate) -> dict[str, float]:
    shown = outwards((rate.low, rate.point, rate.high), _MILLIONTH)
    return {name: float(end) for name, end in shown.items() if end is not None}


def _brake(connection: Connection, tenant: str, automation: str, evidence: dict[str, object]) -> bool:
    brake_id = uuid7()
    at = auditing.brake(connection, brake_id, tenant, automation, evidence)
    if at is None:
        return False
    notice = Notice(
        tenant_id=tenant,
        kind=NoticeKind.AUTOMATION_BRAKED,
        automation=automation,
        subject=str(brake_id),
        at=at,
        data={"automation": automation, "brake_id": str(brake_id), "braked_at": at, "evidence": evidence},
    )
    tell(connection, [notice])
    log.error("automation_braked", tenant=tenant, automation=automation, **evidence)
    metrics.brakes.labels(automation).inc()
    return True


def _evidence(stored: StoredEvidence | None) -> Evidence:
    if stored is None or not stored.stakes:
        return Evidence.none()
    return Evidence(np.array(stored.stakes), stored.reserve, stored.audits, np.asarray(stored.highest))


def _stored(evidence: Evidence, wrong: int, horizon: int) -> StoredEvidence:
    return StoredEvidence(
        [float(stake) for stake in evidence.stakes], evidence.reserve, evidence.audits, wrong, float(evidence.highest), horizon
    )
