"""Baselines that are not measured by a concurrent control: how they come, how long they last, how they are renewed."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from statistics import fmean, variance
from typing import TYPE_CHECKING
from uuid import UUID

import orjson

from services.ops.repository import audit, baselines
from services.ops.repository.audit import Author
from services.ops.repository.baselines import Evidence, Row
from services.ops.schemas.baselines import Baseline, Imported, LogBaselines, NewBaseline, Study
from shared.automations import registry
from shared.errors import Conflict, Rejected

if TYPE_CHECKING:
    from sqlalchemy import Connection

# What nobody measures on goes stale in a quarter.
LASTS = timedelta(days=90)
_MICRO = Decimal("1e-6")


def declare(connection: Connection, author: Author, wanted: NewBaseline, now: datetime) -> Baseline:
    """Store what somebody says that manual handling takes: grade D, without an interval.

    Raises:
        UnknownAutomation: none is installed under that name.
        Rejected: it would expire before it begins.
    """
    registry.automation(wanted.automation)
    valid_from, expires_at = _validity(wanted, now)
    row = Row(
        automation=wanted.automation,
        stratum=wanted.stratum,
        grade="D",
        mean=wanted.mean_seconds,
        variance=None,
        n=0,
        method=wanted.method,
        valid_from=valid_from,
        expires_at=expires_at,
    )
    return _stored(connection, author, "baseline.declared", row, None)


def from_log(connection: Connection, author: Author, wanted: LogBaselines, now: datetime) -> Imported:
    """Store what real manual handling took: grade B. The same file read in the same way is stored once.

    Raises:
        UnknownAutomation: none is installed under that name.
        Rejected: it would expire before it begins.
        Conflict: the same file is being imported in this moment.
    """
    registry.automation(wanted.automation)
    valid_from, expires_at = _validity(wanted, now)
    fingerprint = _digest(wanted.source.model_dump(include={"format", "sha256", "options"}))
    before = baselines.of_evidence(connection, wanted.automation, fingerprint)
    if before:
        return Imported(created=False, baselines=before)
    evidence = Evidence(
        origin="log",
        start=wanted.period_start,
        end=wanted.period_end,
        fingerprint=fingerprint,
        detail=wanted.model_dump(mode="json", include={"source", "segments", "left_out"}),
    )
    stored = [
        _stored(
            connection,
            author,
            "baseline.imported",
            Row(
                automation=wanted.automation,
                stratum=times.stratum,
                grade="B",
                mean=times.mean_seconds,
                variance=times.variance_seconds2,
                n=times.n,
                method=_method(wanted),
                valid_from=valid_from,
                expires_at=expires_at,
            ),
            evidence,
        )
        for times in wanted.strata
    ]
    return Imported(created=True, baselines=stored)


def from_study(connection: Connection, author: Author, wanted: Study, now: datetime) -> Imported:
    """Store a time study with its protocol and every time: grade C. The same study is stored once.

    Raises:
        UnknownAutomation: none is installed under that name.
        Rejected: it would expire before it begins.
        Conflict: the same study is being stored in this moment.
    """
    registry.automation(wanted.automation)
    valid_from, expires_at = _validity(wanted, now)
    content = wanted.model_dump(mode="json", include={"protocol", "observer", "observed_from", "observed_until", "seconds"})
    fingerprint = _digest(content)
    before = [row for row in baselines.of_evidence(connection, wanted.automation, fingerprint) if row.stratum == wanted.stratum]
    if before:
        return Imported(created=False, baselines=before)
    row = Row(
        automation=wanted.automation,
        stratum=wanted.stratum,
        grade="C",
        mean=_micro(fmean(wanted.seconds)),
        variance=_micro(variance(wanted.seconds)),
        n=len(wanted.seconds),
        method=f"Time study by {wanted.observer} of {len(wanted.seconds)} cases, "
        f"{wanted.observed_from.date()} to {wanted.observed_until.date()}, sha256 {fingerprint}: {wanted.protocol}",
        valid_from=valid_from,
        expires_at=expires_at,
    )
    evidence = Evidence(origin="study", start=wanted.observed_from, end=wanted.observed_until, fingerprint=fingerprint, detail=content)
    return Imported(created=True, baselines=[_stored(connection, author, "baseline.studied", row, evidence)])


def renew(connection: Connection, author: Author, baseline_id: UUID, reason: str, now: datetime) -> Baseline:
    """Let a baseline hold for another quarter, because somebody says why; its grade, times and evidence stay.

    Raises:
        NotFound: no such baseline.
        Conflict: it does not hold any more, because a newer one does, or not yet.
    """
    old = baselines.get(connection, baseline_id)
    if old.valid_from > now or baselines.newest(connection, old.automation, old.stratum).id != old.id:
        raise Conflict("Only the baseline that holds now can be renewed; another one has taken its place, or it is still to come.")
    row = Row(
        automation=old.automation,
        stratum=old.stratum,
        grade=old.grade,
        mean=old.mean_seconds,
        variance=old.variance_seconds2,
        n=old.n,
        method=f"Renewal of {old.id}, because: {reason}",
        valid_from=now,
        expires_at=now + LASTS,
    )
    evidence = Evidence(origin="renewal", start=old.period_start, end=old.period_end, renews=old.id, detail={"reason": reason})
    return _stored(connection, author, "baseline.renewed", row, evidence)


def _stored(connection: Connection, author: Author, verb: str, row: Row, evidence: Evidence | None) -> Baseline:
    baseline = baselines.store(connection, row, evidence)
    audit.record(connection, author, verb, baseline.id, baseline.model_dump(mode="json", exclude={"evidence"}))
    return baseline


def _validity(wanted: NewBaseline | LogBaselines | Study, now: datetime) -> tuple[datetime, datetime]:
    valid_from = wanted.valid_from or now
    expires_at = wanted.expires_at or valid_from + LASTS
    if expires_at <= valid_from:
        raise Rejected("A baseline must expire after it begins.")
    return valid_from, expires_at


def _method(wanted: LogBaselines) -> str:
    """A summary that is sealed with the baseline."""
    left_out = "".join(f", {count} {why}" for why, count in sorted(wanted.left_out.items()) if count)
    return (
        f"Log {wanted.source.name} ({wanted.source.format}, sha256 {wanted.source.sha256}), {wanted.period_start.date()} to"
        f" {wanted.period_end.date()}, {wanted.segments} work segments added up by case{left_out}"
    )


def _digest(content: object) -> str:
    return sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _micro(value: float) -> Decimal:
    return Decimal(repr(value)).quantize(_MICRO)
