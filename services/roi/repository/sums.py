"""Reads the sums of a period; as known at an earlier moment, the facts of that moment's hour beside them, by their index."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from itertools import starmap
from typing import TYPE_CHECKING

from services.roi.facts import BucketSum, CaseSum, MoneySum
from services.roi.grains import ALWAYS, Grain, Run, runs
from services.roi.period import Bucket
from shared.ledger.sums import BUCKET_MEASURES, CASE_MEASURES, CORRECTS, TIME, case_changes

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from services.roi.facts import Wanted
    from services.roi.period import Period

_COUNTS = {"control", "human", "automatic"}
_COARSEST = {Bucket.WEEK: Grain.WEEK, Bucket.DAY: Grain.DAY, Bucket.HOUR: Grain.HOUR}
_CASE_ATTRIBUTES = ("automation", "arm", "stratum", "tier", "source", "model_version", "share")
_APART = {"source", "model_version"}
_OF_BUCKETS = ("automation", "arm", "stratum", "tier", "share", "cases", "human_seconds", "human_seconds2")
_MONEY_ATTRIBUTES = ("automation", "arm", "kind", "grade", "currency")
_MONEY_MEASURES = ("amount", "reversed")
OF_ITS_AUTOMATION = "(%(automation)s::text IS NULL OR automation = %(automation)s)"
# Where a moment lies before the period, no row is known of it.
_NOTHING = Run(Grain.HOUR, ALWAYS, ALWAYS, ALWAYS, ALWAYS)
_PART = (
    "SELECT {0} AS bucket, {1} FROM {2} WHERE tenant_id = %(tenant)s AND grain = %(grain_{3})s"  # noqa: S608  # constants
    f" AND period >= %(start_{{3}})s AND period < %(end_{{3}})s AND {OF_ITS_AUTOMATION}"
)
_BOOKED = " AND booked >= %(from_{0})s AND booked < %(to_{0})s"
_BUCKET = "CASE WHEN %(bucket)s::text IS NOT NULL THEN date_trunc(%(bucket)s::text, {0}, 'UTC') END"


def cases(connection: Connection, wanted: Wanted) -> list[CaseSum]:
    """Sums of the period's decided cases."""
    columns = [name if name in wanted.apart or name not in _APART else f"'' AS {name}" for name in _CASE_ATTRIBUTES]
    rows, values = _known("case_sums", (*_CASE_ATTRIBUTES, *CASE_MEASURES), wanted, Grain.MONTH)
    if wanted.as_of is not None:
        rows += _CASE_TAIL.format(", ".join((*_CASE_ATTRIBUTES, *CASE_MEASURES)))
    return list(starmap(CaseSum, connection.exec_driver_sql(_summed(rows, columns, CASE_MEASURES), values).all()))


def buckets(connection: Connection, wanted: Wanted, bucket: Bucket) -> list[BucketSum]:
    """The period's decided cases by bucket, with as little of each as a part of a period needs."""
    if wanted.as_of is None:
        rows, values = _known("case_buckets", ("automation", "stratum", "share", *BUCKET_MEASURES), wanted, _COARSEST[bucket])
        totals = [f"sum({name})" + ("::bigint" if name in _COUNTS else "") for name in BUCKET_MEASURES]
    else:
        rows, values = _known("case_sums", _OF_BUCKETS, wanted, _COARSEST[bucket])
        rows += _CASE_TAIL.format(", ".join(_OF_BUCKETS))
        totals = list(BUCKET_MEASURES.values())
    statement = f"SELECT automation, stratum, share, bucket, {', '.join(totals)} FROM ({rows}) AS known GROUP BY 1, 2, 3, 4"  # noqa: S608  # constants
    return list(starmap(BucketSum, connection.exec_driver_sql(statement, values).all()))


def money(connection: Connection, wanted: Wanted) -> list[MoneySum]:
    """Sums of the period's ledger lines with an amount; by bucket where that is wanted, and then of all arms together."""
    if wanted.bucket is not None and wanted.as_of is None:
        rows, values = _known("money_buckets", ("automation", "kind", "grade", "currency", "amount"), wanted, _COARSEST[wanted.bucket])
        statement = f"SELECT automation, '', kind, grade, currency, bucket, sum(amount), 0 FROM ({rows}) AS known GROUP BY 1, 3, 4, 5, 6"  # noqa: S608  # constants
    else:
        coarsest = Grain.MONTH if wanted.bucket is None else _COARSEST[wanted.bucket]
        rows, values = _known("ledger_sums", (*_MONEY_ATTRIBUTES, *_MONEY_MEASURES), wanted, coarsest)
        if wanted.as_of is not None:
            rows += _LINE_TAIL
        statement = _summed(rows, (*_MONEY_ATTRIBUTES, "bucket"), _MONEY_MEASURES, "WHERE currency <> '-'")
    return list(starmap(MoneySum, connection.exec_driver_sql(statement, values).all()))


def first_day(connection: Connection, tenant: str, automation: str, period: Period) -> datetime | None:
    """Start of the first day of the period with a decided case; None without any."""
    found: datetime | None = connection.exec_driver_sql(
        "SELECT period FROM case_sums WHERE tenant_id = %(tenant)s AND grain = 'day' AND period >= %(start)s AND period < %(end)s"
        " AND automation = %(automation)s ORDER BY period LIMIT 1",
        {"tenant": tenant, "automation": automation, "start": Grain.DAY.start(period.start), "end": period.end},
    ).scalar_one_or_none()
    return found


def quantities(connection: Connection, wanted: Wanted, kind: str) -> dict[str, Decimal]:
    """Sums of the quantities of one kind of line, net of reversals, by automation."""
    rows, values = _known("ledger_sums", ("automation", "kind", "quantity"), wanted, Grain.MONTH)
    if wanted.as_of is not None:
        rows += _QUANTITY_TAIL
    statement = f"SELECT automation, sum(quantity) FROM ({rows}) AS known WHERE kind = %(kind)s GROUP BY 1"  # noqa: S608  # constants
    return dict(connection.exec_driver_sql(statement, {**values, "kind": kind}).tuples().all())


def _summed(rows: str, attributes: Iterable[str], measures: Iterable[str], condition: str = "") -> str:
    groups = list(attributes)
    totals = ", ".join(f"sum({name})" + ("::bigint" if name == "cases" else "") for name in measures)
    numbers = ", ".join(str(place) for place in range(1, len(groups) + 1))
    return f"SELECT {', '.join(groups)}, {totals} FROM ({rows}) AS known {condition} GROUP BY {numbers}"  # noqa: S608  # constants


def _known(table: str, columns: Iterable[str], wanted: Wanted, coarsest: Grain) -> tuple[str, dict[str, object]]:
    """Rows of a table of sums, of no coarser grain than one, and the values of the whole statement."""
    values: dict[str, object] = {
        "tenant": wanted.tenant,
        "automation": wanted.automation,
        "bucket": wanted.bucket,
        "start": wanted.period.start,
        "end": wanted.period.end,
        "as_of": wanted.as_of,
        "hour": None if wanted.as_of is None else Grain.HOUR.start(wanted.as_of),
    }
    parts = []
    for number, run in enumerate(runs(wanted.period, coarsest, wanted.as_of) or [_NOTHING]):
        whole = wanted.bucket is not None and run.grain.value == wanted.bucket.value
        part = _PART.format("period" if whole else _BUCKET.format("period"), ", ".join(columns), table, number)
        parts.append(part if wanted.as_of is None else part + _BOOKED.format(number))
        values |= _bounds(run, number)
    return " UNION ALL ".join(parts), values


def _bounds(run: Run, number: int) -> dict[str, object]:
    values = {"grain": run.grain.value, "start": run.start, "end": run.end, "from": run.booked_from, "to": run.booked_to}
    return {f"{name}_{number}": value for name, value in values.items()}


# Facts of the hour of `as_of`, and those before it that are not in the sums yet.
# Once, for it is asked about each fact; how many there are is known already.
_ROLLED_UP = "{0}.xid < (SELECT rollup_horizon('rollups'))"
_FRESH = (
    "SELECT {1} FROM {0} f WHERE f.tenant_id = %(tenant)s AND f.booked_at >= %(hour)s AND f.booked_at <= %(as_of)s{2}"
    " UNION ALL SELECT {1} FROM {0} f WHERE f.tenant_id = %(tenant)s AND f.booked_at < %(hour)s"
    " AND f.xid >= rollup_horizon('rollups'){2}"
)
_CASE_TAIL = (
    " UNION ALL SELECT * FROM (WITH "  # noqa: S608  # constants
    + case_changes(
        touched=f"({_FRESH.format('decisions', 'f.case_id', '')}) UNION ({_FRESH.format('ledger_lines', 'f.case_id', f' AND {TIME}')})",
        visible="{0}.tenant_id = %(tenant)s AND {0}.booked_at <= %(as_of)s",
        old=f"({_ROLLED_UP} AND {{0}}.booked_at < %(hour)s)",
        booked="%(hour)s::timestamptz",
    )
    + f" SELECT {_BUCKET.format('decided_at')} AS bucket,"  # noqa: S608  # constants
    " {} FROM changes"
    f" WHERE decided_at >= %(start)s AND decided_at < %(end)s AND {OF_ITS_AUTOMATION}) AS tail"
)
_FRESH_LINES = (
    f" FROM ({_FRESH.format('ledger_lines', 'f.*', '')}) AS l LEFT JOIN ledger_lines r ON r.id = l.reverses"
    " WHERE l.occurred_at >= %(start)s AND l.occurred_at < %(end)s"
    " AND (%(automation)s::text IS NULL OR l.automation = %(automation)s)"
)
_QUANTITY_TAIL = (
    f" UNION ALL SELECT {_BUCKET.format('l.occurred_at')}, l.automation, coalesce(r.kind, l.kind), coalesce(l.quantity, 0)" + _FRESH_LINES
)
_LINE_TAIL = (
    f" UNION ALL SELECT {_BUCKET.format('l.occurred_at')}, l.automation, coalesce(l.arm, '-'), coalesce(r.kind, l.kind), l.grade,"
    f" coalesce(l.currency, '-'), coalesce(l.amount, 0), CASE WHEN {CORRECTS} THEN coalesce(l.amount, 0) ELSE 0 END" + _FRESH_LINES
)
