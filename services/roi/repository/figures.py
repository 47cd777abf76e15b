"""Reads what figures are computed from; only the pages of the ledger are single facts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, cast

from services.roi.facts import DatedRate, Standing, StoredBaseline, Tally
from services.roi.repository import sums
from services.roi.schemas import LedgerLine
from shared.measure.baselines import Baseline, Grade

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from services.roi.facts import CaseSum, MoneySum, Wanted
    from shared.web.pagination import Cursor

_COMMON = "SELECT (SELECT rolled_at FROM rollup_horizons WHERE name = 'rollups'), currency, simulated FROM tenants WHERE id = %(tenant)s"
_BASELINES = (
    "SELECT DISTINCT ON (automation, stratum) automation, stratum, mean_seconds, variance_seconds2, n, grade, expires_at"
    " FROM baselines WHERE tenant_id = %(tenant)s AND valid_from <= %(at)s"
    " AND (%(as_of)s::timestamptz IS NULL OR created_at <= %(as_of)s) ORDER BY automation, stratum, valid_from DESC, created_at DESC"
)
_RATES = (
    "SELECT DISTINCT ON (name, automation) name, automation, value, currency, valid_from, source"
    " FROM rates WHERE tenant_id = %(tenant)s AND valid_from <= %(at)s AND (name IN ('labour_hour', 'loss_per_error') OR name LIKE 'fx:%%')"
    " AND (%(as_of)s::timestamptz IS NULL OR created_at <= %(as_of)s) ORDER BY name, automation, valid_from DESC, created_at DESC"
)
_LEDGER = (
    "SELECT id, automation, case_id, kind, sequence, arm, stratum, quantity, unit, amount, currency, grade, baseline_id, occurred_at,"
    " booked_at, reverses FROM ledger_lines WHERE tenant_id = %(tenant)s AND booked_at >= %(start)s AND booked_at < %(end)s"
    " AND (%(as_of)s::timestamptz IS NULL OR booked_at <= %(as_of)s)"
    " AND (%(at)s::timestamptz IS NULL OR (booked_at, id) < (%(at)s::timestamptz, %(last)s::uuid))"
    " AND (%(automation)s::text IS NULL OR automation = %(automation)s) AND (%(kind)s::text IS NULL OR kind = %(kind)s)"
    " AND (%(case_id)s::uuid IS NULL OR case_id = %(case_id)s) ORDER BY booked_at DESC, id DESC LIMIT %(limit)s"
)


def tally(connection: Connection, wanted: Wanted) -> Tally:
    """Sums of one period; call it in a snapshot, so that they belong together."""
    if wanted.bucket is None and not wanted.bounds:
        return _tally(connection, wanted, sums.cases(connection, wanted), sums.money(connection, wanted) if wanted.money else [])
    if wanted.bucket is None:
        return _tally(connection, wanted, [], sums.money(connection, wanted))._replace(buckets=sums.whole(connection, wanted))
    buckets, flows = sums.buckets(connection, wanted, wanted.bucket), sums.flows(connection, wanted, wanted.bucket)
    return _tally(connection, wanted, [], [])._replace(buckets=buckets, flows=flows)


def ledger_page(connection: Connection, tenant: str, filters: Mapping[str, object], cursor: Cursor | None, limit: int) -> list[LedgerLine]:
    """Newest first.

    Args:
        filters: ``start``, ``end`` of booking, ``as_of``, ``automation``, ``kind``, ``case_id``; the last four may be None.
    """
    place = {"at": None if cursor is None else cursor.at, "last": None if cursor is None else cursor.id}
    rows = connection.exec_driver_sql(_LEDGER, {"tenant": tenant, **filters, **place, "limit": limit}).mappings()
    return [LedgerLine(**row) for row in rows]


def tenant_name(connection: Connection, tenant: str) -> str:
    return str(connection.exec_driver_sql("SELECT name FROM tenants WHERE id = %(tenant)s", {"tenant": tenant}).scalar_one())


def answers(connection: Connection) -> None:
    connection.exec_driver_sql("SELECT 1")


def currency(connection: Connection, tenant: str) -> tuple[str, bool]:
    """The tenant's own, and whether the tenant is simulated."""
    own, simulated = connection.exec_driver_sql("SELECT currency, simulated FROM tenants WHERE id = %(tenant)s", {"tenant": tenant}).one()
    return own, simulated


def standing(connection: Connection, tenant: str, at: datetime, as_of: datetime | None) -> Standing:
    """Baselines and rates that hold at a moment, as known at another."""
    return Standing(_baselines(connection, {"tenant": tenant, "at": at, "as_of": as_of}), rates(connection, tenant, at, as_of))


def rates(connection: Connection, tenant: str, at: datetime, as_of: datetime | None) -> list[DatedRate]:
    """Those that hold at a moment, as known at another."""
    return [DatedRate(*row) for row in connection.exec_driver_sql(_RATES, {"tenant": tenant, "at": at, "as_of": as_of})]


def _tally(connection: Connection, wanted: Wanted, cases: list[CaseSum], money: list[MoneySum]) -> Tally:
    rolled_at, own, simulated = connection.exec_driver_sql(_COMMON, {"tenant": wanted.tenant}).one()
    return Tally(
        cases=cases,
        money=money,
        **standing(connection, wanted.tenant, wanted.at, wanted.as_of)._asdict(),
        currency=own,
        # Of an earlier moment everything is known, the tail of the facts included.
        rolled_at=wanted.as_of or rolled_at,
        simulated=simulated,
    )


def _baselines(connection: Connection, values: Mapping[str, object]) -> list[StoredBaseline]:
    rows = connection.exec_driver_sql(_BASELINES, values)
    at = cast("datetime", values["at"])
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
