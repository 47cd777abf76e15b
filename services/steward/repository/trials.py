"""Versions of models that are tried, and how they end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg.types.json import Jsonb

from shared.ids import uuid7

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Trial(NamedTuple):
    """Attributes: since: begin of the trial; a version that is tried again begins anew."""

    tenant_id: str
    automation: str
    version: str
    since: datetime


# Whoever changed the trial meanwhile, a person or another steward, has it: then nothing is touched.
_STILL = (
    " WHERE tenant_id = %(tenant)s AND automation = %(automation)s AND version = %(version)s AND since = %(since)s"
    " AND state IN ('shadow', 'canary')"
)


def running(connection: Connection) -> list[Trial]:
    rows = connection.exec_driver_sql(
        "SELECT tenant_id, automation, version, since FROM model_rollouts WHERE state IN ('shadow', 'canary') ORDER BY 1, 2"
    )
    return [Trial(*row) for row in rows]


def note(connection: Connection, trial: Trial, evidence: Mapping[str, Any]) -> None:
    connection.exec_driver_sql(
        "UPDATE model_rollouts SET evidence = %(evidence)s" + _STILL,  # noqa: S608  # constants
        {**_named(trial), "evidence": Jsonb(dict(evidence))},
    )


def take_back(connection: Connection, trial: Trial, evidence: Mapping[str, Any]) -> bool:
    """False where the trial had ended already."""
    values = {**_named(trial), "evidence": Jsonb(dict(evidence)), "id": uuid7()}
    ended = connection.exec_driver_sql(
        "UPDATE model_rollouts SET state = 'retired', canary_share = 0, evidence = %(evidence)s, changed_at = now(),"  # noqa: S608  # constants
        " changed_by = 'steward', reason = 'wrong more often than the present version'" + _STILL,
        values,
    )
    if ended.rowcount == 0:
        return False
    connection.exec_driver_sql(
        "INSERT INTO audit_log (id, tenant_id, actor, action, object_type, object_id, detail)"
        " VALUES (%(id)s, %(tenant)s, 'steward', 'model.taken_back', 'model', %(automation)s || '/' || %(version)s, %(evidence)s)",
        values,
    )
    return True


def _named(trial: Trial) -> dict[str, object]:
    return {"tenant": trial.tenant_id, "automation": trial.automation, "version": trial.version, "since": trial.since}
