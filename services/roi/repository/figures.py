"""Reads the roll-ups; only conservation's tail and the pages of the ledger look at single facts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from services.roi.facts import CaseSum, DatedRate, MoneySum, StoredBaseline, Tally
from services.roi.schemas import Balance, LedgerLine
from shared.measure.baselines import Baseline, Grade

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from services.roi.period import Bucket, Period
    from shared.web.pagination import Cursor

_CASES = (
    "SELECT automation, arm, stratum, tier, CASE WHEN %(bucket)s::text IS NOT NULL THEN date_trunc(%(bucket)s::text, hour, 'UTC') END,"
    " sum(cases)::bigint, sum(human_seconds), sum(human_seconds2) FROM roi_hourly"
    " WHERE tenant_id = %(tenant)s AND hour >= %(start)s AND hour < %(end)s"
    " AND (%(automation)s::text IS NULL OR automation = %(automation)s)"
    " GROUP BY 1, 2, 3, 4, 5"
)
_MONEY = (
    "SELECT automation, arm, kind, grade, currency,"
    " CASE WHEN %(bucket)s::text IS NOT NULL THEN date_trunc(%(bucket)s::text, hour, 'UTC') END, sum(amount) FROM ledger_hourly"
    " WHERE tenant_id = %(tenant)s AND hour >= %(start)s AND hour < %(end)s"
    " AND (%(automation)s::text IS NULL OR automation = %(automation)s)"
    " AND currency <> '-' GROUP BY 1, 2, 3, 4, 5, 6"
)
_BASELINES = (
    "SELECT DISTINCT ON (automation, stratum) automation, stratum, mean_seconds, variance_seconds2, n, grade, expires_at"
    " FROM baselines WHERE tenant_id = %(tenant)s AND valid_from <= %(at)s ORDER BY automation, stratum, valid_from DESC, created_at DESC"
)
_RATES = (
    "SELECT DISTINCT ON (name, automation) name, automation, value, currency, valid_from, source"
    " FROM rates WHERE tenant_id = %(tenant)s AND valid_from <= %(at)s AND (name = 'labour_hour' OR name LIKE 'fx:%%')"
    " ORDER BY name, automation, valid_from DESC, created_at DESC"
)
_CONSERVATION = (
    "SELECT automation, hour, received, automated, human, control, duplicate, rejected, pending + processing + review AS in_flight,"
    " quarantined + poison AS dead_letter, difference, pending, processing, review, quarantined, poison"
    " FROM conservation WHERE tenant_id = %(tenant)s AND hour >= %(start)s AND hour < %(end)s"
    " AND (%(automation)s::text IS NULL OR automation = %(automation)s) ORDER BY hour, automation"
)
_LEDGER = (
    "SELECT id, automation, case_id, kind, sequence, arm, stratum, quantity, unit, amount, currency, grade, baseline_id, occurred_at,"
    " booked_at, reverses FROM ledger_lines WHERE tenant_id = %(tenant)s AND booked_at >= %(start)s AND booked_at < %(end)s"
    " AND (%(at)s::timestamptz IS NULL OR (booked_at, id) < (%(at)s::timestamptz, %(last)s::uuid))"
    " AND (%(automation)s::text IS NULL OR automation = %(automation)s) AND (%(kind)s::text IS NULL OR kind = %(kind)s)"
    " AND (%(case_id)s::uuid IS NULL OR case_id = %(case_id)s) ORDER BY booked_at DESC, id DESC LIMIT %(limit)s"
)


def tally(connection: Connection, tenant: str, period: Period, *, at: datetime, automation: str | None, bucket: Bucket | None) -> Tally:
    """Sums of one period; call it in a snapshot, so that they belong together.

    Args:
        at: moment that baselines and rates hold for.
        bucket: None sums the whole period.
    """
    values = {
        "tenant": tenant,
        "start": period.start,
        "end": period.end,
        "automation": automation,
        "bucket": None if bucket is None else bucket.value,
        "at": at,
    }
    return Tally(
        cases=[CaseSum(*row) for row in connection.exec_driver_sql(_CASES, values)],
        money=[MoneySum(*row) for row in connection.exec_driver_sql(_MONEY, values)],
        baselines=_baselines(connection, tenant, at),
        rates=[DatedRate(*row) for row in connection.exec_driver_sql(_RATES, values)],
        currency=connection.exec_driver_sql("SELECT currency FROM tenants WHERE id = %(tenant)s", values).scalar_one(),
        rolled_at=connection.exec_driver_sql("SELECT rolled_at FROM rollup_horizons WHERE name = 'rollups'").scalar_one(),
    )


def conservation(connection: Connection, tenant: str, period: Period, automation: str | None) -> list[Balance]:
    values = {"tenant": tenant, "start": period.start, "end": period.end, "automation": automation}
    return [Balance(**row) for row in connection.exec_driver_sql(_CONSERVATION, values).mappings()]


def ledger_page(connection: Connection, tenant: str, filters: Mapping[str, object], cursor: Cursor | None, limit: int) -> list[LedgerLine]:
    """Newest first.

    Args:
        filters: ``start``, ``end`` of booking, ``automation``, ``kind``, ``case_id``; the last three may be None.
    """
    place = {"at": None if cursor is None else cursor.at, "last": None if cursor is None else cursor.id}
    rows = connection.exec_driver_sql(_LEDGER, {"tenant": tenant, **filters, **place, "limit": limit}).mappings()
    return [LedgerLine(**row) for row in rows]


def answers(connection: Connection) -> None:
    connection.exec_driver_sql("SELECT 1")


def _baselines(connection: Connection, tenant: str, at: datetime) -> list[StoredBaseline]:
    rows = connection.exec_driver_sql(_BASELINES, {"tenant": tenant, "at": at})
    return [
        StoredBaseline(
            automation,
            stratum,
            Baseline.stored(
                (float(mean), None if variance is None else float(variance), n), grade=Grade(grade), expires_at=expires_at, at=at
            ),
        )
        for automation, stratum, mean, variance, n, grade, expires_at in rows
    ]
