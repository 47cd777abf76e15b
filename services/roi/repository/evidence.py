"""What stands behind the figures: draws, clocks and baselines, as known now or at an earlier moment."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from services.roi.facts import Decided, Experiment, KnownBaseline
from services.roi.grains import Grain, Which, bookings, starts
from services.roi.repository.rows import BOOKED, OF_ITS_AUTOMATION, given, part, taken_away, union
from shared.casework.experiment import COUNTS, MEASURES, SECONDS, facts
from shared.measure.baselines import Grade

if TYPE_CHECKING:
    from sqlalchemy import Connection

_ROLLED_UP = f"SELECT automation, share, {', '.join(MEASURES)} FROM experiment_{{0}} WHERE tenant_id = %(tenant)s AND {OF_ITS_AUTOMATION}"  # noqa: S608  # constants
# Facts of the hour of `as_of`, and those before it that are not in the sums yet.
_OF_THE_HOUR = "{0}.tenant_id = %(tenant)s AND {0}.booked_at >= %(hour)s AND {0}.booked_at <= %(as_of)s"
_BEFORE = "{0}.tenant_id = %(tenant)s AND {0}.booked_at < %(hour)s AND {0}.xid >= "
_OF_EXPERIMENT = " UNION ALL ".join(facts(known) for known in (_OF_THE_HOUR, _BEFORE + "rollup_horizon('evidence')"))
_TOTALS = ", ".join([*(f"sum({name})::bigint" for name in COUNTS), *(f"sum({name})" for name in SECONDS)])
_SUMMED = f"SELECT automation, share, {_TOTALS} FROM ({{0}}) AS known GROUP BY 1, 2 ORDER BY 1, 2"  # noqa: S608  # constants
_NOW: Final = _SUMMED.format(_ROLLED_UP.format("months"))
_THEN: Final = _SUMMED.format(
    f"{_ROLLED_UP.format('months')} AND month < %(month)s UNION ALL"  # noqa: S608  # constants
    f" {_ROLLED_UP.format('days')} AND day >= %(month)s AND day < %(day)s UNION ALL"
    f" {_ROLLED_UP.format('hours')} AND hour >= %(day)s AND hour < %(hour)s UNION ALL"
    f" SELECT automation, share, {', '.join(MEASURES)} FROM ({_OF_EXPERIMENT}) AS tail WHERE {OF_ITS_AUTOMATION}"
)
_GROUP = ("arm", "stratum", "share")
_DECISIONS = (
    "SELECT d.automation, d.arm, d.stratum, c.control_probability, 1 FROM decisions d"
    # OFFSET 0 keeps the lookup what it is: of a case by its key, however many the planner expects.
    " JOIN LATERAL (SELECT control_probability FROM cases o WHERE o.id = d.case_id OFFSET 0) c ON true"
    " WHERE {0} AND (%(automation)s::text IS NULL OR d.automation = %(automation)s)"
)
_OF_DECISIONS = " UNION ALL ".join(_DECISIONS.format(known.format("d")) for known in (_OF_THE_HOUR, _BEFORE + "rollup_horizon('rollups')"))
_DECIDED = "SELECT automation, arm, stratum, share, sum(cases)::bigint FROM ({0}) AS known GROUP BY 1, 2, 3, 4 HAVING sum(cases) <> 0"
_DECIDED_NOW: Final = _DECIDED.format(
    "SELECT automation, arm, stratum, share, cases FROM case_buckets CROSS JOIN LATERAL"  # noqa: S608  # constants
    " (VALUES ('control', control), ('automated', human + automatic)) AS decided (arm, cases)"
    f" WHERE tenant_id = %(tenant)s AND grain = 'month' AND {OF_ITS_AUTOMATION}"
)
# By booking alone, because it is about all of them whenever they were decided.
_DECIDED_THEN: Final = _DECIDED.format(
    union(
        part(Which.LATE, "automation", (*_GROUP, "cases"), "case_sums", BOOKED),
        part(Which.EXCESS, "automation", (*_GROUP, *taken_away(("cases",))), "case_sums", BOOKED),
        _OF_DECISIONS,
    )
)
# Control cases received since a full hour that are decided: as in the sums of `case_sums`, from which those of all times come.
_YOUNG = f"SELECT automation, sum(control)::bigint FROM ({{0}}) AS known WHERE {OF_ITS_AUTOMATION} GROUP BY 1"  # noqa: S608  # constants
_RECEIVED = "SELECT automation, control FROM conservation_hourly WHERE tenant_id = %(tenant)s AND hour >= %(since)s"
YOUNG_NOW: Final = _YOUNG.format(_RECEIVED)
YOUNG_THEN: Final = _YOUNG.format(
    " UNION ALL ".join(
        [
            # What was received later cannot be booked; an hour more, because the clocks of a gateway and the database differ.
            f"{_RECEIVED} AND hour < %(as_of)s + interval '1 hour' AND booked < %(hour)s",
            *(
                f"SELECT d.automation, 1 FROM decisions d WHERE {known.format('d')} AND d.arm = 'control' AND d.received_at >= %(since)s"  # noqa: S608  # constants
                for known in (_OF_THE_HOUR, _BEFORE + "rollup_horizon('rollups')")
            ),
        ]
    )
)
_OLDEST = (
    "SELECT min(received_at) FROM cases WHERE tenant_id = %(tenant)s AND state <> 'decided' AND arm = 'control'"  # noqa: S608  # constants
    f" AND {OF_ITS_AUTOMATION}"
)
_BASELINES = (
    "SELECT DISTINCT ON (b.automation, b.stratum) b.automation, b.stratum, b.grade, b.n, b.mean_seconds, b.method, b.valid_from,"
    " b.expires_at, e.period_start, e.period_end FROM baselines b LEFT JOIN baseline_evidence e ON e.baseline_id = b.id"
    " WHERE b.tenant_id = %(tenant)s AND b.valid_from <= %(at)s AND (%(as_of)s::timestamptz IS NULL OR b.created_at <= %(as_of)s)"
    " AND (%(automation)s::text IS NULL OR b.automation = %(automation)s)"
    " ORDER BY b.automation, b.stratum, b.valid_from DESC, b.created_at DESC"
)


def experiments(connection: Connection, tenant: str, automation: str | None, as_of: datetime | None) -> list[Experiment]:
    """All since each experiment began, by automation and control share; the period of a question does not cut it."""
    values = {"tenant": tenant, "automation": automation, **starts(as_of)}
    rows = connection.exec_driver_sql(_NOW if as_of is None else _THEN, values)
    return [Experiment(*row) for row in rows]


def decided(connection: Connection, tenant: str, automation: str | None, as_of: datetime | None) -> list[Decided]:
    """All cases that were decided, by what a draw is compared with."""
    values = {"tenant": tenant, "automation": automation}
    if as_of is None:
        rows = connection.exec_driver_sql(_DECIDED_NOW, values)
    else:
        hour = Grain.HOUR.start(as_of)
        rows = connection.exec_driver_sql(_DECIDED_THEN, values | {"as_of": as_of, "hour": hour, **given(bookings(hour))})
    return [Decided(*row) for row in rows]


def young_control(connection: Connection, tenant: str, automation: str | None, since: datetime, as_of: datetime | None) -> dict[str, int]:
    """Decided control cases received since the start of an hour, by automation."""
    values = {"tenant": tenant, "automation": automation, "since": since, **starts(as_of)}
    return dict(connection.exec_driver_sql(YOUNG_NOW if as_of is None else YOUNG_THEN, values).tuples().all())


def oldest_control(connection: Connection, tenant: str, automation: str | None) -> datetime | None:
    """When the oldest control case that nobody has decided was received; of now."""
    found: datetime | None = connection.exec_driver_sql(_OLDEST, {"tenant": tenant, "automation": automation}).scalar_one()
    return found


def baselines(connection: Connection, tenant: str, automation: str | None, *, at: datetime, as_of: datetime | None) -> list[KnownBaseline]:
    """The stored one that counts for each automation and stratum at a moment, expired or not."""
    rows = connection.exec_driver_sql(_BASELINES, {"tenant": tenant, "automation": automation, "at": at, "as_of": as_of})
    return [KnownBaseline(row[0], row[1], Grade(row[2]), *row[3:]) for row in rows]
