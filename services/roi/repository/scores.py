"""How sure tiers were and what people found, and what audits found: sums of days and hours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.roi.facts import Audited, ScoreSum
from services.roi.grains import Which, added, starts
from services.roi.repository.rows import BOOKED, BY_BOOKING, BY_PERIOD, given, part, union
from shared.casework.audits import SUMS, facts
from shared.measure.error_rate import AuditSums
from shared.models.rollups import SCORE_COUNTS, SCORE_WEIGHTS

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from services.roi.period import Period

_SCORE = ("tier", "model_version", "proposed", "bin")


def _scores_of(which: Which, condition: str) -> str:
    # Said once more, because a plan that is made once must find the automation, which stands before the period in the key.
    return part(
        which,
        "0 AS place",
        (*_SCORE, *SCORE_COUNTS, *SCORE_WEIGHTS, "least"),
        "score_sums",
        f"s.automation = %(automation)s AND {condition}",
    )


_SCORES: Final = (
    f"SELECT {', '.join(_SCORE)}, {', '.join(f'sum({name})::bigint' for name in SCORE_COUNTS)},"  # noqa: S608  # constants
    f" {', '.join(f'sum({name})' for name in SCORE_WEIGHTS)}, min(least)"
    f" FROM ({union(_scores_of(Which.ALL, f'{BY_PERIOD} AND {BOOKED}'), _scores_of(Which.LATE, f'{BY_BOOKING} AND {BOOKED}'))}) AS known"
    " GROUP BY 1, 2, 3, 4"
)
_COUNTS = ("decisions", "drawn", "done", "disputed", "wrong")
_WEIGHTS = ("weighted", "weighted_drawn", "weighted_done", "weighted_disputed")
_AUDITS = (
    "SELECT s.automation, s.error_limit,"  # noqa: S608  # constants
    " EXISTS (SELECT FROM brakes b WHERE b.tenant_id = s.tenant_id AND b.automation = s.automation AND {0}),"
    f" {', '.join(f'coalesce(h.{name}, 0)::bigint' for name in _COUNTS)},"
    f" {', '.join(f'coalesce(h.{name}, 0)' for name in _WEIGHTS)}, h.least"
    " FROM automation_settings s LEFT JOIN ("
    f"  SELECT automation, {', '.join(f'sum({name}) AS {name}' for name in SUMS)}, min(least) AS least FROM ({{1}}) AS known GROUP BY 1"
    " ) h ON h.automation = s.automation"
    " WHERE s.tenant_id = %(tenant)s AND (%(automation)s::text IS NULL OR s.automation = %(automation)s)"
)
_SUMMED_UP = f"SELECT automation, {', '.join(SUMS)}, least FROM audit_{{0}} WHERE tenant_id = %(tenant)s"  # noqa: S608  # constants
_NOW: Final = _AUDITS.format("b.released_at IS NULL", _SUMMED_UP.format("months"))
# Facts of the hour of `as_of`, and those before it that are not in the sums yet.
_OF_THE_HOUR = "{0}.tenant_id = %(tenant)s AND {1} >= %(hour)s AND {1} <= %(as_of)s"
_BEFORE = "{0}.tenant_id = %(tenant)s AND {1} < %(hour)s AND {0}.xid >= rollup_horizon('audits')"
_THEN: Final = _AUDITS.format(
    "b.braked_at <= %(as_of)s AND (b.released_at IS NULL OR b.released_at > %(as_of)s)",
    f"{_SUMMED_UP.format('months')} AND month < %(month)s UNION ALL"  # noqa: S608  # constants
    f" {_SUMMED_UP.format('days')} AND day >= %(month)s AND day < %(day)s UNION ALL"
    f" {_SUMMED_UP.format('hours')} AND hour >= %(day)s AND hour < %(hour)s UNION ALL"
    f" SELECT automation, {', '.join(SUMS)}, least FROM ({facts(_OF_THE_HOUR)} UNION ALL {facts(_BEFORE)}) AS tail",
)


def scores(connection: Connection, tenant: str, automation: str, days: Period, before: datetime | None) -> list[ScoreSum]:
    """Of cases decided in a period of whole days.

    Args:
        before: start of the day from which on bookings are not known; None knows all.
    """
    values = {"tenant": tenant, "automation": automation, **given(added(days, before))}
    return [ScoreSum(*row) for row in connection.exec_driver_sql(_SCORES, values)]


def audits(connection: Connection, tenant: str, automation: str | None, as_of: datetime | None) -> dict[str, Audited]:
    """All since the first decision that could be drawn, by automation; absent where an automation was never set.

    Args:
        as_of: what was booked later is not known; the limit is today's all the same.
    """
    values = {"tenant": tenant, "automation": automation, **starts(as_of)}
    rows = connection.exec_driver_sql(_NOW if as_of is None else _THEN, values)
    names = (*_COUNTS, *_WEIGHTS, "least")
    return {row[0]: Audited(row[1], row[2], AuditSums(**dict(zip(names, row[3:], strict=True)))) for row in rows}
