"""Reads the sums of a period; as known at an earlier moment, the facts of that moment's hour beside them, by their index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from itertools import starmap
from typing import TYPE_CHECKING, Any

from services.roi.facts import BucketSums, CaseSum, MoneyBuckets, MoneySum
from services.roi.grains import NEVER, Grain, Run, Which, runs
from services.roi.period import Bucket
from shared.ledger.sums import BUCKET_VALUES, CASE_MEASURES, CORRECTS, TIME, case_changes

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, CursorResult

    from services.roi.facts import Wanted
    from services.roi.period import Period

_COARSEST = {Bucket.WEEK: Grain.WEEK, Bucket.DAY: Grain.DAY, Bucket.HOUR: Grain.HOUR}
_CASE_ATTRIBUTES = ("automation", "arm", "stratum", "tier", "source", "model_version", "share")
_APART = {"source", "model_version"}
_MONEY_ATTRIBUTES = ("automation", "arm", "kind", "grade", "currency")
_MONEY_MEASURES = ("amount", "reversed")
_LEAST = timedelta(microseconds=1)
OF_ITS_AUTOMATION = "(%(automation)s::text IS NULL OR automation = %(automation)s)"
_COLUMNS = {
    "grain": "text",
    "start": "timestamptz",
    "end": "timestamptz",
    "booked_from": "timestamptz",
    "booked_to": "timestamptz",
    "after": "bool",
}
_RUNS = ", ".join(f"%({{0}}_{name})s::{kind}[]" for name, kind in _COLUMNS.items())
# Each run by itself, by the index that suits it whatever the values are.
_PART = (
    "SELECT {1} AS bucket, {2} FROM unnest({0}) AS r (grain, start, until, booked_from, booked_to, after) CROSS JOIN LATERAL ("  # noqa: S608  # constants
    f" SELECT * FROM {{3}} s WHERE s.tenant_id = %(tenant)s AND s.grain = r.grain AND {{4}} AND {OF_ITS_AUTOMATION} OFFSET 0) AS k"
)
_BY_PERIOD = "s.period >= r.start AND s.period < r.until"
_BOOKED = "s.booked >= r.booked_from AND s.booked < r.booked_to"
# Not by the index of periods.
_BY_BOOKING = "s.period + interval '0' >= r.start AND s.period + interval '0' < r.until"
_BUCKET = (
    "CASE WHEN %(bucket)s::text IS NOT NULL THEN date_trunc(%(bucket)s::text, {0}, 'UTC')"
    " WHEN {0} >= %(boundary)s::timestamptz THEN %(boundary)s END"
)
_BUCKET_OF_RUN = (
    "CASE WHEN r.grain = %(bucket)s THEN k.period WHEN %(bucket)s::text IS NOT NULL THEN date_trunc(%(bucket)s::text, k.period, 'UTC')"
    " WHEN r.after THEN %(boundary)s::timestamptz END"
)


# As numbers, because a moment takes longer to send and to read than all else of a row.
_STARTS = "array_agg(date_part('epoch', bucket)::bigint)"
_GATHERED = (
    f"SELECT automation, stratum, share, {_STARTS}, array_agg(control), array_agg(human), array_agg(automatic),"  # noqa: S608  # constants
    " array_agg(seconds::float8), sum(control_seconds), sum(control_seconds2) FROM ({}) AS known GROUP BY 1, 2, 3"
    " HAVING sum(control + human + automatic) > 0"
)


@dataclass(frozen=True, slots=True)
class _Buckets:
    """A table of sums by bucket, and the table of sums that remembers bookings.

    Attributes:
        measures: by name, what a row of the latter is to the former.
    """

    table: str
    sums: str
    attributes: tuple[str, ...]
    measures: Mapping[str, str]

    @property
    def columns(self) -> list[str]:
        return [*self.attributes, *self.measures]

    @property
    def of_sums(self) -> list[str]:
        return [*self.attributes, *(f"{value} AS {name}" for name, value in self.measures.items())]

    @property
    def less(self) -> list[str]:
        return [*self.attributes, *(f"-({value}) AS {name}" for name, value in self.measures.items())]


_CASE_BUCKETS = _Buckets("case_buckets", "case_sums", ("automation", "stratum", "share"), BUCKET_VALUES)
_MONEY_BUCKETS = _Buckets("money_buckets", "ledger_sums", ("automation", "kind", "grade", "currency"), {"amount": "amount"})


def cases(connection: Connection, wanted: Wanted) -> list[CaseSum]:
    """Sums of the period's decided cases."""
    return list(starmap(CaseSum, _cases(connection, wanted)))


def cases_by_part(connection: Connection, wanted: Wanted) -> tuple[list[CaseSum], list[CaseSum]]:
    """Sums of the cases that were decided before the boundary, and after it."""
    parts: tuple[list[CaseSum], list[CaseSum]] = [], []
    for *values, bucket in _cases(connection, wanted, "bucket"):
        parts[bucket is not None].append(CaseSum(*values))
    return parts


def _cases(connection: Connection, wanted: Wanted, *last: str) -> CursorResult[Any]:
    columns = [name if name in wanted.apart or name not in _APART else f"'' AS {name}" for name in _CASE_ATTRIBUTES]
    rows, values = _known("case_sums", _CASE_ATTRIBUTES, CASE_MEASURES, wanted)
    if wanted.as_of is not None:
        rows += _CASE_TAIL.format(", ".join((*_CASE_ATTRIBUTES, *CASE_MEASURES)))
    return connection.exec_driver_sql(_summed(rows, columns, CASE_MEASURES, last), values)


def buckets(connection: Connection, wanted: Wanted, bucket: Bucket) -> list[BucketSums]:
    """The period's decided cases by bucket, with as little of each as a part of a period needs; a row for each would take longer."""
    rows, values = _by_bucket(_CASE_BUCKETS, wanted, bucket)
    if wanted.as_of is not None:
        rows += _CASE_TAIL.format(", ".join(_CASE_BUCKETS.of_sums))
    return list(starmap(BucketSums, connection.exec_driver_sql(_GATHERED.format(rows), values)))


def money(connection: Connection, wanted: Wanted) -> list[MoneySum]:
    """Sums of the period's ledger lines with an amount."""
    rows, values = _known("ledger_sums", _MONEY_ATTRIBUTES, _MONEY_MEASURES, wanted)
    if wanted.as_of is not None:
        rows += f" UNION ALL {_LINE_TAIL}"
    statement = _summed(rows, (*_MONEY_ATTRIBUTES, "bucket"), _MONEY_MEASURES, condition="WHERE currency <> '-'")
    return list(starmap(MoneySum, connection.exec_driver_sql(statement, values)))


def flows(connection: Connection, wanted: Wanted, bucket: Bucket) -> list[MoneyBuckets]:
    """As `money`, by bucket and of all arms together."""
    rows, values = _by_bucket(_MONEY_BUCKETS, wanted, bucket)
    if wanted.as_of is not None:
        rows += f" UNION ALL SELECT bucket, {', '.join(_MONEY_BUCKETS.of_sums)} FROM ({_LINE_TAIL}) AS tail"  # noqa: S608  # constants
    statement = (
        f"SELECT automation, kind, grade, currency, {_STARTS}, array_agg(amount) FROM ({rows}) AS known WHERE currency <> '-'"  # noqa: S608  # constants
        " GROUP BY 1, 2, 3, 4"
    )
    found = starmap(MoneyBuckets, connection.exec_driver_sql(statement, values))
    return [row for row in found if sum(row.amounts) or any(row.by_bucket().values())]


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
    rows, values = _known("ledger_sums", ("automation", "kind"), ("quantity",), wanted)
    if wanted.as_of is not None:
        rows += _QUANTITY_TAIL
    statement = f"SELECT automation, sum(quantity) FROM ({rows}) AS known WHERE kind = %(kind)s GROUP BY 1 HAVING sum(quantity) <> 0"  # noqa: S608  # constants
    return dict(tuple(row) for row in connection.exec_driver_sql(statement, {**values, "kind": kind}))


def _summed(rows: str, attributes: Iterable[str], measures: Iterable[str], last: Iterable[str] = (), *, condition: str = "") -> str:
    """Without what was added and taken away again.

    Args:
        last: attributes to show after the measures.
    """
    groups, behind, sums = list(attributes), list(last), {name: f"sum({name})" for name in measures}
    totals = [f"{total}::bigint" if name == "cases" else total for name, total in sums.items()]
    places = [*range(1, len(groups) + 1), *range(len(groups) + len(totals) + 1, len(groups) + len(totals) + len(behind) + 1)]
    columns = ", ".join([*groups, *totals, *behind])
    having = " OR ".join(f"{total} <> 0" for total in sums.values())
    return f"SELECT {columns} FROM ({rows}) AS known {condition} GROUP BY {', '.join(map(str, places))} HAVING {having}"  # noqa: S608  # constants


def _known(table: str, attributes: Iterable[str], measures: Iterable[str], wanted: Wanted) -> tuple[str, dict[str, object]]:
    """Rows of a table of sums, and the values of the whole statement."""
    columns, less = [*attributes, *measures], [*attributes, *(f"-{name} AS {name}" for name in measures)]
    found = [run for piece in wanted.pieces for run in _runs(wanted, piece, Grain.MONTH)]
    values = _values(wanted, found)
    if wanted.booked_before is None:
        return _union(_part(Which.ALL, columns, table, _BY_PERIOD), _part(Which.BEYOND, less, table, _BY_PERIOD)), values
    return (
        _union(
            _part(Which.ALL, columns, table, f"{_BY_PERIOD} AND {_BOOKED}"),
            _part(Which.LATE, columns, table, f"{_BY_BOOKING} AND {_BOOKED}"),
            _part(Which.BEYOND, less, table, f"{_BY_PERIOD} AND {_BOOKED}"),
            _part(Which.EXCESS, less, table, f"{_BY_BOOKING} AND {_BOOKED}"),
        ),
        values,
    )


def _by_bucket(tables: _Buckets, wanted: Wanted, bucket: Bucket) -> tuple[str, dict[str, object]]:
    """As `_known`, of both tables: as known at a moment, the buckets without the few sums that were booked later."""
    found = _runs(wanted, wanted.period, _COARSEST[bucket])
    parts = [_part(Which.ALL, tables.columns, tables.table, _BY_PERIOD)]
    if wanted.booked_before is None:
        less = [*tables.attributes, *(f"-{name} AS {name}" for name in tables.measures)]
        parts.append(_part(Which.BEYOND, less, tables.table, _BY_PERIOD))
    else:
        parts += [
            _part(Which.ALL, tables.less, tables.sums, f"{_BY_PERIOD} AND s.booked >= r.booked_to"),
            _part(Which.LATE, tables.of_sums, tables.sums, f"{_BY_BOOKING} AND {_BOOKED}"),
            _part(Which.BEYOND, tables.less, tables.sums, f"{_BY_PERIOD} AND {_BOOKED}"),
            _part(Which.EXCESS, tables.less, tables.sums, f"{_BY_BOOKING} AND {_BOOKED}"),
        ]
    return _union(*parts), _values(wanted, found)


def _union(*parts: str) -> str:
    return " UNION ALL ".join(parts)


def _runs(wanted: Wanted, piece: Period, coarsest: Grain) -> list[Run]:
    found = runs(piece, coarsest, wanted.booked_before, unfinished=wanted.unfinished and piece.end == wanted.period.end)
    return [replace(run, after=piece.start == wanted.boundary) for run in found]


def _part(which: Which, columns: Iterable[str], table: str, condition: str) -> str:
    return _PART.format(_RUNS.format(which), _BUCKET_OF_RUN, ", ".join(columns), table, condition)


def _values(wanted: Wanted, found: Sequence[Run]) -> dict[str, object]:
    columns = {f"{which}_{name}": [getattr(run, name) for run in found if run.which is which] for which in Which for name in _COLUMNS}
    return {
        "tenant": wanted.tenant,
        "automation": wanted.automation,
        "bucket": wanted.bucket,
        "boundary": wanted.boundary,
        "start": wanted.period.start,
        "end": wanted.period.end,
        **_moments(NEVER if wanted.latest else wanted.as_of, NEVER if wanted.latest else wanted.booked_before),
        **columns,
    }


def _moments(as_of: datetime | None, hour: datetime | None) -> dict[str, object]:
    """The moment, the full hour that the sums are cut off at, and the first and the last microsecond between them."""
    if as_of is None or hour is None:
        return {}
    first, last = (hour, as_of) if hour <= as_of else (as_of + _LEAST, hour - _LEAST)
    return {"as_of": as_of, "hour": hour, "first": first, "last": last}


# Facts between `as_of` and the hour next to it, and those before them that are not in the sums yet.
# Once, for it is asked about each fact; how many there are is known already.
_ROLLED_UP = "{0}.xid < (SELECT rollup_horizon('rollups'))"
_FRESH = (
    "SELECT {1} FROM {0} f WHERE f.tenant_id = %(tenant)s AND f.booked_at >= %(first)s AND f.booked_at <= %(last)s{2}"
    " UNION ALL SELECT {1} FROM {0} f WHERE f.tenant_id = %(tenant)s AND f.booked_at < %(first)s"
    " AND f.xid >= rollup_horizon('rollups'){2}"
)
_CASE_TAIL = (
    " UNION ALL SELECT * FROM (WITH "  # noqa: S608  # constants
    + case_changes(
        touched=f"({_FRESH.format('decisions', 'f.case_id', '')}) UNION ({_FRESH.format('ledger_lines', 'f.case_id', f' AND {TIME}')})",
        visible="{0}.tenant_id = %(tenant)s AND {0}.booked_at <= %(last)s",
        old=f"({_ROLLED_UP} AND {{0}}.booked_at < %(hour)s)",
        booked="%(hour)s::timestamptz",
        new="{0}.booked_at <= %(as_of)s",
    )
    + f" SELECT {_BUCKET.format('decided_at')} AS bucket,"  # noqa: S608  # constants
    " {} FROM changes"
    f" WHERE decided_at >= %(start)s AND decided_at < %(end)s AND {OF_ITS_AUTOMATION}) AS tail"
)
_BUCKET_OF_LINE = _BUCKET.format("l.occurred_at")
_FRESH_LINES = (
    f" FROM ({_FRESH.format('ledger_lines', 'f.*', '')}) AS l LEFT JOIN ledger_lines r ON r.id = l.reverses"
    " WHERE l.occurred_at >= %(start)s AND l.occurred_at < %(end)s"
    " AND (%(automation)s::text IS NULL OR l.automation = %(automation)s)"
    f" AND (l.booked_at <= %(as_of)s OR {_ROLLED_UP.format('l')})"
)
# What is in the sums of the hour and was booked after the moment is taken away.
_COUNTED = "CASE WHEN l.booked_at <= %(as_of)s THEN {0} ELSE -{0} END"
_QUANTITY_TAIL = (
    f" UNION ALL SELECT {_BUCKET_OF_LINE}, l.automation, coalesce(r.kind, l.kind), {_COUNTED.format('coalesce(l.quantity, 0)')}"
    f"{_FRESH_LINES}"
)
_LINE_TAIL = (
    f"SELECT {_BUCKET_OF_LINE} AS bucket, l.automation, coalesce(l.arm, '-') AS arm, coalesce(r.kind, l.kind) AS kind, l.grade,"
    f" coalesce(l.currency, '-') AS currency, {_COUNTED.format('coalesce(l.amount, 0)')} AS amount,"
    f" CASE WHEN {CORRECTS} THEN {_COUNTED.format('coalesce(l.amount, 0)')} ELSE 0 END AS reversed" + _FRESH_LINES
)
