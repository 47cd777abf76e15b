"""How sure tiers were and what people found, and what audits found: sums of days and hours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.roi.facts import Audited, ScoreSum
from services.roi.grains import Grain, runs, starts
from shared.casework.audits import SUMS, facts
from shared.measure.error_rate import AuditSums

if TYPE_CHECKING:
    from datetime import datetime

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
_COUNTS = ("decisions", "drawn", "done", "disputed", "wrong")
_AUDITS = (
    "SELECT s.automation, s.error_limit,"  # noqa: S608  # constants
    " EXISTS (SELECT FROM brakes b WHERE b.tenant_id = s.tenant_id AND b.automation = s.automation AND {0}),"
    f" {', '.join(f'coalesce(h.{name}, 0)::bigint' for name in _COUNTS)}, coalesce(h.weighted, 0), coalesce(h.probability, 0), h.least"
    " FROM automation_settings s LEFT JOIN ("
    f"  SELECT automation, {', '.join(f'sum({name}) AS {name}' for name in SUMS)}, min(least) AS least FROM ({{1}}) AS known GROUP BY 1"
    " ) h ON h.automation = s.automation"
    " WHERE s.tenant_id = %(tenant)s AND (%(automation)s::text IS NULL OR s.automation = %(automation)s)"
)
_SUMMED_UP = f"SELECT automation, {', '.join(SUMS)}, least FROM audit_{{0}} WHERE tenant_id = %(tenant)s"  # noqa: S608  # constants
_NOW: Final = _AUDITS.format("b.released_at IS NULL", _SUMMED_UP.format("months"))
# Facts of the day of `as_of`, and those before it that are not in the sums yet.
_OF_THE_DAY = "{0}.tenant_id = %(tenant)s AND {1} >= %(day)s AND {1} <= %(as_of)s"
_BEFORE = "{0}.tenant_id = %(tenant)s AND {1} < %(day)s AND {0}.xid >= rollup_horizon('audits')"
_THEN: Final = _AUDITS.format(
    "b.braked_at <= %(as_of)s AND (b.released_at IS NULL OR b.released_at > %(as_of)s)",
    f"{_SUMMED_UP.format('months')} AND month < %(month)s UNION ALL"  # noqa: S608  # constants
    f" {_SUMMED_UP.format('days')} AND day >= %(month)s AND day < %(day)s UNION ALL"
    f" SELECT automation, {', '.join(SUMS)}, least FROM ({facts(_OF_THE_DAY)} UNION ALL {facts(_BEFORE)}) AS tail",
)


def scores(connection: Connection, tenant: str, automation: str, days: Period) -> list[ScoreSum]:
    """Of cases decided in a period of whole days, which no row reaches over: its months, and the weeks and days at its ends."""
    values: dict[str, object] = {"tenant": tenant, "automation": automation}
    parts = []
    for number, run in enumerate(runs(days, Grain.MONTH, None)):
        parts.append(_RUN.format(number))
        values |= {f"grain_{number}": run.grain.value, f"start_{number}": run.start, f"end_{number}": run.end}
    return [ScoreSum(*row) for row in connection.exec_driver_sql(_SUMMED.format(" UNION ALL ".join(parts)), values)]


def audits(connection: Connection, tenant: str, automation: str | None, as_of: datetime | None) -> dict[str, Audited]:
    """All since the first decision that could be drawn, by automation; absent where an automation was never set.

    Args:
        as_of: what was booked later is not known; the limit is today's all the same.
    """
    values = {"tenant": tenant, "automation": automation, **starts(as_of)}
    rows = connection.exec_driver_sql(_NOW if as_of is None else _THEN, values)
    names = ("decisions", "drawn", "done", "disputed", "wrong", "weighted", "probability", "least")
    return {row[0]: Audited(row[1], row[2], AuditSums(**dict(zip(names, row[3:], strict=True)))) for row in rows}
