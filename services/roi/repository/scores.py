"""How sure tiers were and what people found, and what audits found: sums of days and hours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.roi.facts import Audited, ScoreSum
from services.roi.grains import Grain, runs
from shared.measure.error_rate import AuditSums

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from services.roi.period import Period

_COLUMNS = (
    "tier, model_version, proposed, bin, cases, automatic, reviewed, reviewed_wrong, auditable, drawn, audited, audited_wrong,"
    " weighted_wrong, least"
)
_RUN = (
    f"SELECT {_COLUMNS} FROM score_sums WHERE tenant_id = %(tenant)s AND automation = %(automation)s"  # noqa: S608  # constants
    " AND grain = %(grain_{0})s AND period >= %(start_{0})s AND period < %(end_{0})s"
)
_SUMMED = (
    "SELECT tier, model_version, proposed, bin, sum(cases)::bigint, sum(automatic)::bigint, sum(reviewed)::bigint,"
    " sum(reviewed_wrong)::bigint, sum(auditable)::bigint, sum(drawn)::bigint, sum(audited)::bigint, sum(audited_wrong)::bigint,"
    " sum(weighted_wrong), min(least) FROM ({0}) AS known GROUP BY 1, 2, 3, 4"
)
_AUDITS = (
    "SELECT s.automation, s.error_limit,"
    " EXISTS (SELECT FROM brakes b WHERE b.tenant_id = s.tenant_id AND b.automation = s.automation AND b.released_at IS NULL),"
    " coalesce(sum(h.decisions), 0)::bigint, coalesce(sum(h.drawn), 0)::bigint, coalesce(sum(h.done), 0)::bigint,"
    " coalesce(sum(h.disputed), 0)::bigint, coalesce(sum(h.wrong), 0)::bigint, coalesce(sum(h.weighted), 0),"
    " coalesce(sum(h.probability), 0), min(h.least)"
    " FROM automation_settings s LEFT JOIN audit_days h ON h.tenant_id = s.tenant_id AND h.automation = s.automation"
    " WHERE s.tenant_id = %(tenant)s AND (%(automation)s::text IS NULL OR s.automation = %(automation)s) GROUP BY s.tenant_id, s.automation"
)


def scores(connection: Connection, tenant: str, automation: str, days: Period) -> list[ScoreSum]:
    """Of cases decided in a period of whole days: its months, and the weeks and days at its ends."""
    values: dict[str, object] = {"tenant": tenant, "automation": automation}
    parts = []
    for number, run in enumerate(runs(days, Grain.MONTH, None)):
        parts.append(_RUN.format(number))
        values |= {f"grain_{number}": run.grain.value, f"start_{number}": run.start, f"end_{number}": run.end}
    return [ScoreSum(*row) for row in connection.exec_driver_sql(_SUMMED.format(" UNION ALL ".join(parts)), values)]


def audits(connection: Connection, tenant: str, automation: str | None) -> dict[str, Audited]:
    """All since the first decision that could be drawn, by automation; absent where an automation was never set."""
    rows = connection.exec_driver_sql(_AUDITS, {"tenant": tenant, "automation": automation})
    names = ("decisions", "drawn", "done", "disputed", "wrong", "weighted", "probability", "least")
    return {row[0]: Audited(row[1], row[2], AuditSums(**dict(zip(names, row[3:], strict=True)))) for row in rows}
