"""What is told about whole days: figures that are summed up, and seals; only for tenants of which somebody wants to hear it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.ledger import tree

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from shared.casework.notices import NoticeKind
    from shared.ledger.seals import Seal

_WANTED = (
    "SELECT t.id FROM tenants t WHERE EXISTS (SELECT FROM endpoints e WHERE e.tenant_id = t.id AND e.state = 'enabled'"
    " AND %(kind)s = ANY (e.events)) ORDER BY t.id"
)

_FIGURES = """
WITH asked AS (SELECT %(tenants)s::text[] AS tenants, %(day)s::timestamptz AS day), cases AS (
    SELECT tenant_id, automation, sum(cases) FILTER (WHERE arm = 'automated' AND tier <> 'human')::bigint AS automated,
           sum(cases) FILTER (WHERE arm = 'automated' AND tier = 'human')::bigint AS human,
           sum(cases) FILTER (WHERE arm = 'control')::bigint AS control,
           sum(human_seconds) FILTER (WHERE arm = 'automated') AS human_seconds,
           sum(human_seconds) FILTER (WHERE arm = 'control') AS manual_seconds, sum(gain) AS saved_seconds,
           sqrt(sum(gain_variance)) AS standard_error
    FROM case_sums, asked WHERE tenant_id = ANY (tenants) AND grain = 'day' AND period = day GROUP BY 1, 2
), money AS (
    SELECT tenant_id, automation, jsonb_agg(jsonb_build_object('kind', kind, 'currency', currency, 'amount', amount::text)
                                            ORDER BY kind, currency) AS money
    FROM (SELECT tenant_id, automation, kind, currency, trim_scale(sum(amount)) AS amount FROM ledger_sums, asked
          WHERE tenant_id = ANY (tenants) AND grain = 'day' AND period = day AND currency <> '-' GROUP BY 1, 2, 3, 4) m
    GROUP BY 1, 2
)
SELECT tenant_id, automation, coalesce(automated, 0) AS automated, coalesce(human, 0) AS human, coalesce(control, 0) AS control,
       coalesce(human_seconds, 0) AS human_seconds, coalesce(manual_seconds, 0) AS manual_seconds,
       round(coalesce(saved_seconds, 0), 3) AS saved_seconds, round(coalesce(standard_error, 0), 3) AS standard_error,
       coalesce(money, '[]') AS money
FROM cases FULL JOIN money USING (tenant_id, automation) ORDER BY 1, 2
"""


_SUMS = """
SELECT tenant_id, automation, arm, stratum, share, sum(cases)::bigint, sum(human_seconds), sum(human_seconds2), sum(gain),
       sum(gain_variance)
FROM case_sums WHERE tenant_id = ANY (%(tenants)s) AND grain = 'day' AND period = %(day)s GROUP BY 1, 2, 3, 4, 5
"""


class DaySum(NamedTuple):
    """Decided cases of one day, stratum and arm that were drawn with one control share."""

    tenant: str
    automation: str
    arm: str
    stratum: str
    share: Decimal
    cases: int
    seconds: Decimal
    squares: Decimal
    gain: Decimal
    variance: Decimal


def wanted(connection: Connection, kind: NoticeKind) -> list[str]:
    """Tenants with an endpoint that receives messages of this kind."""
    return list(connection.exec_driver_sql(_WANTED, {"kind": kind.value}).scalars())


def rolled_through(connection: Connection) -> datetime:
    """Every fact that was committed before it is summed up."""
    at: datetime = connection.exec_driver_sql("SELECT rolled_at FROM rollup_horizons WHERE name = 'rollups'").scalar_one()
    return at


def figures(connection: Connection, tenants: Sequence[str], day: datetime) -> list[dict[str, Any]]:
    """One row for each tenant and automation with a case or a line on that day.

    Args:
        day: its start, UTC.
    """
    rows = connection.exec_driver_sql(_FIGURES, {"tenants": list(tenants), "day": day}).mappings()
    return [dict(row) for row in rows]


def sums(connection: Connection, tenants: Sequence[str], day: datetime) -> list[DaySum]:
    """What the always-valid interval of that day needs."""
    return [DaySum(*row) for row in connection.exec_driver_sql(_SUMS, {"tenants": list(tenants), "day": day})]


def last_seal(connection: Connection, tenant: str, before: datetime) -> Seal | None:
    """The newest one that was made before a moment."""
    n = connection.exec_driver_sql(
        "SELECT n FROM ledger_seals WHERE tenant_id = %(tenant)s AND sealed_at < %(before)s ORDER BY n DESC LIMIT 1",
        {"tenant": tenant, "before": before},
    ).scalar_one_or_none()
    return None if n is None else tree.seal_of(connection, tenant, n)
