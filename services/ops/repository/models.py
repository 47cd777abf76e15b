"""Versions of models: what workers have, and what a tenant has made of each."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from psycopg.types.json import Jsonb

from services.ops.repository.rows import changed, many, maybe, rows
from services.ops.schemas.models import ModelVersion, ModelWindow, State
from shared.casework.rollouts import INSTALLED

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from services.ops.repository.audit import Author

_VERSIONS = f"""
SELECT coalesce(v.automation, r.automation) AS automation, coalesce(v.version, r.version) AS version, v.version IS NOT NULL AS installed,
       coalesce(v.is_default, false) AS is_default, r.state, coalesce(r.canary_share, 0) AS canary_share, r.since, r.evidence,
       r.changed_at, r.changed_by, r.reason
FROM (SELECT * FROM model_versions v WHERE {INSTALLED}) v
FULL JOIN (SELECT * FROM model_rollouts WHERE tenant_id = current_setting('app.tenant')) r USING (automation, version)
WHERE (%(automation)s::text IS NULL OR coalesce(v.automation, r.automation) = %(automation)s)
  AND (%(version)s::text IS NULL OR coalesce(v.version, r.version) = %(version)s)
ORDER BY 1, 2
"""  # noqa: S608  # a constant

_WINDOWS = """
SELECT automation, tier, model_version, day, cases, is_reference, finding, drifted FROM model_windows
WHERE tenant_id = current_setting('app.tenant') AND (%(automation)s::text IS NULL OR automation = %(automation)s)
  AND day > current_date - %(days)s
ORDER BY day DESC, automation, tier, model_version
"""

# One change at a time for each automation of a tenant: who comes second sees what the first has done, and so with the steward, who takes
# back without this lock.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('model_rollouts ' || current_setting('app.tenant') || ' ' || %(automation)s, 0))"

_LOCK_ROWS = "SELECT version FROM model_rollouts WHERE tenant_id = current_setting('app.tenant') AND automation = %(automation)s FOR UPDATE"

_TRIED = """
SELECT version FROM model_rollouts WHERE tenant_id = current_setting('app.tenant') AND automation = %(automation)s
  AND state IN ('shadow', 'canary')
"""

_RETIRE_ACTIVE = """
UPDATE model_rollouts SET state = 'retired', changed_at = now(), changed_by = %(by)s, reason = %(reason)s
WHERE tenant_id = current_setting('app.tenant') AND automation = %(automation)s AND state = 'active' AND version <> %(version)s
"""

_SET = """
INSERT INTO model_rollouts AS r (tenant_id, automation, version, state, canary_share, since, evidence, changed_at, changed_by, reason)
SELECT current_setting('app.tenant'), %(automation)s, %(version)s, %(state)s, %(share)s, now(), %(evidence)s, now(),
       coalesce((SELECT k.name || ' (rk_' || k.prefix || ')' FROM api_keys k WHERE k.id = %(key)s), %(command)s), %(reason)s
ON CONFLICT (tenant_id, automation, version) DO UPDATE SET
    state = excluded.state, canary_share = excluded.canary_share,
    since = CASE WHEN %(anew)s THEN excluded.since ELSE r.since END,
    evidence = CASE WHEN %(anew)s THEN NULL ELSE coalesce(excluded.evidence, r.evidence) END,
    changed_at = excluded.changed_at, changed_by = excluded.changed_by, reason = excluded.reason
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Attributes: anew: a trial begins, so that earlier cases do not count."""

    automation: str
    version: str
    state: State
    share: Decimal
    reason: str | None
    anew: bool
    evidence: dict[str, object] | None = None


def versions(connection: Connection, automation: str | None) -> list[ModelVersion]:
    return many(ModelVersion, connection, _VERSIONS, {"automation": automation, "version": None})


def version(connection: Connection, automation: str, wanted: str) -> ModelVersion | None:
    return maybe(ModelVersion, connection, _VERSIONS, {"automation": automation, "version": wanted})


def windows(connection: Connection, automation: str | None, days: int) -> list[ModelWindow]:
    """Newest first."""
    return many(ModelWindow, connection, _WINDOWS, {"automation": automation, "days": days})


def lock(connection: Connection, automation: str) -> None:
    for statement in (_LOCK, _LOCK_ROWS):
        rows(connection, statement, {"automation": automation})


def tried(connection: Connection, automation: str) -> str | None:
    found = rows(connection, _TRIED, {"automation": automation})
    return str(found[0]["version"]) if found else None


def store(connection: Connection, author: Author, wanted: Wanted) -> None:
    """Raises Conflict where another version is active or tried already."""
    if wanted.state == "active":
        by = f"promotion of {wanted.version}"
        values = {"automation": wanted.automation, "version": wanted.version, "by": by, "reason": wanted.reason}
        changed(connection, _RETIRE_ACTIVE, values)
    rows(
        connection,
        _SET + "RETURNING version",
        {
            "automation": wanted.automation,
            "version": wanted.version,
            "state": wanted.state,
            "share": wanted.share,
            "evidence": None if wanted.evidence is None else Jsonb(wanted.evidence),
            "reason": wanted.reason,
            "anew": wanted.anew,
            "key": author.key_id,
            "command": author.command,
        },
    )
