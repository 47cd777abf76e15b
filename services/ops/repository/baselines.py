"""Stored baselines and what they rest on. Both are append-only: whatever replaces one is a new row."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg.types.json import Jsonb

from services.ops.repository.rows import changed, many, one, place
from services.ops.schemas.baselines import Baseline, Origin
from shared.ids import uuid7

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from shared.web.pagination import Cursor

_BASELINE = """
SELECT b.id, b.automation, b.stratum, b.grade, b.mean_seconds, b.variance_seconds2, b.n, b.method, b.valid_from, b.expires_at, b.created_at,
       b.expires_at <= now() AS expired, e.origin, e.period_start, e.period_end, e.renews, e.detail AS evidence
FROM baselines b LEFT JOIN baseline_evidence e ON e.baseline_id = b.id
WHERE b.tenant_id = current_setting('app.tenant')
"""
_PAGE = f"""
{_BASELINE} AND (%(automation)s::text IS NULL OR b.automation = %(automation)s)
  AND (%(at)s::timestamptz IS NULL OR (b.created_at, b.id) < (%(at)s, %(last)s))
ORDER BY b.created_at DESC, b.id DESC LIMIT %(limit)s
"""
_ONE = f"{_BASELINE} AND b.id = %(id)s"
_NEWEST = f"""
{_BASELINE} AND b.automation = %(automation)s AND b.stratum = %(stratum)s AND b.valid_from <= now()
ORDER BY b.valid_from DESC, b.created_at DESC LIMIT 1
"""
_OF_EVIDENCE = f"{_BASELINE} AND e.automation = %(automation)s AND e.fingerprint = %(fingerprint)s ORDER BY b.stratum"

_NEW = """
INSERT INTO baselines (id, tenant_id, automation, stratum, grade, mean_seconds, variance_seconds2, n, method, valid_from, expires_at)
VALUES (%(id)s, current_setting('app.tenant'), %(automation)s, %(stratum)s, %(grade)s, %(mean)s, %(variance)s, %(n)s, %(method)s,
        %(valid_from)s, %(expires_at)s)
"""
_NEW_EVIDENCE = """
INSERT INTO baseline_evidence (baseline_id, tenant_id, automation, stratum, origin, fingerprint, period_start, period_end, renews, detail)
VALUES (%(id)s, current_setting('app.tenant'), %(automation)s, %(stratum)s, %(origin)s, %(fingerprint)s, %(start)s, %(end)s, %(renews)s,
        %(detail)s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a baseline rests on.

    Attributes:
        fingerprint: the same one is stored once per automation and stratum; None may come again.
    """

    origin: Origin
    start: datetime | None = None
    end: datetime | None = None
    fingerprint: str | None = None
    renews: UUID | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A baseline to be stored; seconds and squared seconds, without a spread where it is only declared."""

    automation: str
    stratum: str
    grade: str
    mean: Decimal
    variance: Decimal | None
    n: int
    method: str
    valid_from: datetime
    expires_at: datetime


def page(connection: Connection, automation: str | None, cursor: Cursor | None, limit: int) -> list[Baseline]:
    return many(Baseline, connection, _PAGE, {"automation": automation, **place(cursor), "limit": limit})


def get(connection: Connection, baseline_id: UUID) -> Baseline:
    """Raises NotFound."""
    return one(Baseline, connection, _ONE, {"id": baseline_id})


def newest(connection: Connection, automation: str, stratum: str) -> Baseline:
    """The one that holds now; raises NotFound where none does yet."""
    return one(Baseline, connection, _NEWEST, {"automation": automation, "stratum": stratum})


def of_evidence(connection: Connection, automation: str, fingerprint: str) -> list[Baseline]:
    return many(Baseline, connection, _OF_EVIDENCE, {"automation": automation, "fingerprint": fingerprint})


def store(connection: Connection, row: Row, evidence: Evidence | None) -> Baseline:
    """Raises Conflict where the same evidence is being stored in this moment."""
    baseline_id = uuid7()
    key = {"id": baseline_id, "automation": row.automation, "stratum": row.stratum}
    changed(
        connection,
        _NEW,
        key
        | {
            "grade": row.grade,
            "mean": row.mean,
            "variance": row.variance,
            "n": row.n,
            "method": row.method,
            "valid_from": row.valid_from,
            "expires_at": row.expires_at,
        },
    )
    if evidence is not None:
        _store(connection, key, evidence)
    return get(connection, baseline_id)


def _store(connection: Connection, key: Mapping[str, object], evidence: Evidence) -> None:
    changed(
        connection,
        _NEW_EVIDENCE,
        {
            **key,
            "origin": evidence.origin,
            "fingerprint": evidence.fingerprint,
            "start": evidence.start,
            "end": evidence.end,
            "renews": evidence.renews,
            "detail": Jsonb(dict(evidence.detail)),
        },
    )
