"""Adds what audits found to their sums, each finding exactly once, and keeps the evidence against each automation.

Windows of transactions as in `rollups`: see there. Sums, evidence, brakes and the new horizon are one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import orjson

from shared.casework.audits import SUMS, facts
from shared.measure.error_rate import AuditSums

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from services.steward.repository.rollups import Window

FACTS = ("decisions", "audit_findings")
_BY = (
    f"INSERT INTO audit_{{0}}s AS h (tenant_id, automation, {{0}}, {', '.join(SUMS)}, least)"  # noqa: S608  # constants
    f" SELECT tenant_id, automation, date_trunc('{{0}}', booked, 'UTC'), {', '.join(f'sum({name})' for name in SUMS)}, min(least)"
    " FROM facts GROUP BY 1, 2, 3"
    f" ON CONFLICT (tenant_id, automation, {{0}}) DO UPDATE SET {', '.join(f'{name} = h.{name} + excluded.{name}' for name in SUMS)},"
    " least = least(h.least, excluded.least) RETURNING 1"
)
_ADD = (
    f"WITH facts AS MATERIALIZED ({facts('{0}.xid >= %(lower)s::xid8 AND {0}.xid < %(upper)s::xid8')}),"  # noqa: S608  # constants
    f" hours AS ({_BY.format('hour')}), days AS ({_BY.format('day')}), months AS ({_BY.format('month')}) SELECT count(*) FROM days"
)
_COUNTS = ("decisions", "drawn", "done", "disputed", "wrong")
_WEIGHTS = ("weighted", "weighted_drawn", "weighted_done", "weighted_disputed")
_SUMS = (
    f"SELECT {', '.join(f'coalesce(sum({name}), 0)::bigint AS {name}' for name in _COUNTS)},"  # noqa: S608  # constants
    f" {', '.join(f'coalesce(sum({name}), 0) AS {name}' for name in _WEIGHTS)}, min(least) AS least"
    " FROM audit_months WHERE tenant_id = %(tenant)s AND automation = %(automation)s"
)
# Draws that a weight is the mean of.
_NEWEST = 1000


class Judged(NamedTuple):
    """A decision that was found right or wrong for good."""

    tenant_id: str
    automation: str
    wrong: bool
    probability: Decimal
    least: Decimal
    xid: int


@dataclass(frozen=True, slots=True)
class StoredEvidence:
    """As in the table: empty ``stakes`` are a fresh start; findings of transactions below ``horizon`` do not count any more."""

    stakes: list[float]
    reserve: float
    audits: int
    wrong: int
    highest: float
    horizon: int


def add_sums(connection: Connection, window: Window) -> int:
    """Decisions that could be drawn, those that were, and what was found, each by the hour, day and month of its booking."""
    return int(connection.exec_driver_sql(_ADD, window.bounds()).scalar_one())


def judged(connection: Connection, window: Window) -> list[Judged]:
    """In the order in which the verdicts were committed, as far as that is known."""
    rows = connection.exec_driver_sql(
        "SELECT f.tenant_id, f.automation, f.wrong, a.probability, a.least, f.xid::text FROM audit_findings f"
        " JOIN audits a ON a.case_id = f.case_id"
        " WHERE f.xid >= %(lower)s::xid8 AND f.xid < %(upper)s::xid8 AND f.wrong IS NOT NULL ORDER BY f.xid, f.case_id",
        window.bounds(),
    )
    return [Judged(tenant, automation, wrong, probability, least, int(xid)) for tenant, automation, wrong, probability, least, xid in rows]


def evidence(connection: Connection, tenant: str, automation: str) -> StoredEvidence | None:
    """Locked until the transaction ends: a person who releases the brake waits, or is waited for."""
    row = connection.exec_driver_sql(
        "SELECT stakes, reserve, audits, wrong, highest, horizon::text FROM brake_evidence"
        " WHERE tenant_id = %(tenant)s AND automation = %(automation)s FOR UPDATE",
        {"tenant": tenant, "automation": automation},
    ).one_or_none()
    if row is None:
        return None
    stakes, reserve, audits, wrong, highest, horizon = row
    return StoredEvidence(stakes, reserve, audits, wrong, highest, int(horizon))


def keep_evidence(connection: Connection, tenant: str, automation: str, found: StoredEvidence) -> None:
    connection.exec_driver_sql(
        "INSERT INTO brake_evidence (tenant_id, automation, stakes, reserve, audits, wrong, highest, horizon, since)"
        " VALUES (%(tenant)s, %(automation)s, %(stakes)s, %(reserve)s, %(audits)s, %(wrong)s, %(highest)s, %(horizon)s::xid8, now())"
        " ON CONFLICT (tenant_id, automation) DO UPDATE SET stakes = excluded.stakes, reserve = excluded.reserve,"
        " audits = excluded.audits, wrong = excluded.wrong, highest = excluded.highest",
        {
            "tenant": tenant,
            "automation": automation,
            "stakes": found.stakes,
            "reserve": found.reserve,
            "audits": found.audits,
            "wrong": found.wrong,
            "highest": found.highest,
            "horizon": str(found.horizon),
        },
    )


def limit(connection: Connection, tenant: str, automation: str, default: Decimal) -> Decimal:
    """Error rate that the automation is certified for."""
    found: Decimal | None = connection.exec_driver_sql(
        "SELECT error_limit FROM automation_settings WHERE tenant_id = %(tenant)s AND automation = %(automation)s",
        {"tenant": tenant, "automation": automation},
    ).scalar_one_or_none()
    return default if found is None else found


def weight(connection: Connection, tenant: str, automation: str, least: Decimal) -> float:
    """The least probability over the mean one of decisions made while it was the least: the mean of least/probability over drawn ones.

    Drawing favours the likelier ones in proportion, so this needs no sum over decisions that nobody drew. The newest draws only, because
    strata may be audited more, or less, from some day on.
    """
    found = connection.exec_driver_sql(
        "SELECT avg(least / probability) FROM (SELECT least, probability FROM audits WHERE tenant_id = %(tenant)s"
        " AND automation = %(automation)s AND least = %(least)s ORDER BY decided_at DESC LIMIT %(newest)s) AS drawn",
        {"tenant": tenant, "automation": automation, "least": least, "newest": _NEWEST},
    ).scalar_one()
    return 1.0 if found is None else float(found)


def sums(connection: Connection, tenant: str, automation: str) -> AuditSums:
    """Of all decisions since the first one; a brake's evidence is shown beside them."""
    return AuditSums(**connection.exec_driver_sql(_SUMS, {"tenant": tenant, "automation": automation}).mappings().one())


def brake(connection: Connection, brake_id: UUID, tenant: str, automation: str, shown: object) -> datetime | None:
    """When it was pulled; None where it is on already."""
    at: datetime | None = connection.exec_driver_sql(
        "INSERT INTO brakes (id, tenant_id, automation, braked_at, evidence)"
        " VALUES (%(id)s, %(tenant)s, %(automation)s, now(), %(evidence)s::jsonb)"
        " ON CONFLICT (tenant_id, automation) WHERE released_at IS NULL DO NOTHING RETURNING braked_at",
        {"id": brake_id, "tenant": tenant, "automation": automation, "evidence": orjson.dumps(shown).decode()},
    ).scalar_one_or_none()
    if at is not None:
        connection.exec_driver_sql(
            "INSERT INTO audit_log (id, tenant_id, actor, action, object_type, object_id, detail)"
            " VALUES (gen_random_uuid(), %(tenant)s, 'steward', 'automation.braked', 'automation', %(automation)s, %(evidence)s::jsonb)",
            {"tenant": tenant, "automation": automation, "evidence": orjson.dumps(shown).decode()},
        )
    return at


def braked(connection: Connection) -> Sequence[tuple[str, int]]:
    """How many tenants have the brake of each automation on."""
    rows = connection.exec_driver_sql("SELECT automation, count(*) FROM brakes WHERE released_at IS NULL GROUP BY automation")
    return [(automation, count) for automation, count in rows]
