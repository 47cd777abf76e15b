"""Reads the sums of a period; as known at an earlier moment, the facts of that moment's hour beside them, by their index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import starmap
from typing import TYPE_CHECKING, Final

from services.roi.buckets import BucketSums, MoneyBuckets, begun
from services.roi.facts import CaseSum, MoneySum, Wanted
from services.roi.grains import Grain, Which, runs
from services.roi.period import Bucket, Period
from services.roi.repository import tails
from services.roi.repository.rows import BOOKED, BY_BOOKING, BY_PERIOD, OF_EACH_PERIOD, given, part, summed, taken_away, union
from shared.ledger.sums import BUCKET_VALUES

if TYPE_CHECKING:
    from sqlalchemy import Connection

_COARSEST = {Bucket.WEEK: Grain.WEEK, Bucket.DAY: Grain.DAY, Bucket.HOUR: Grain.HOUR}
_CASE_ATTRIBUTES = ("automation", "arm", "stratum", "tier", "source", "model_version", "share")
_APART = {"source", "model_version"}
_CASE_MEASURES = ("cases", "human_seconds", "human_seconds2", "covariate", "covariate2", "covariate_seconds")
_MONEY_ATTRIBUTES = ("automation", "arm", "kind", "grade", "currency")
_MONEY_MEASURES = ("amount", "reversed")
# Where in the answer something belongs.
_BUCKET = "date_trunc(%(bucket)s::text, {0}, 'UTC') AS bucket"
_BUCKET_OF_RUN = "CASE WHEN r.grain = %(bucket)s THEN k.period ELSE date_trunc(%(bucket)s::text, k.period, 'UTC') END AS bucket"
_ALL = "0 AS bucket"


# As numbers, because a moment takes longer to send and to read than all else of a row.
_STARTS = "array_agg(date_part('epoch', bucket)::bigint)"
_GATHERED = (
    f"SELECT automation, stratum, share, {_STARTS}, array_agg(control), array_agg(human), array_agg(automatic),"  # noqa: S608  # constants
    " array_agg(seconds::float8), sum(control_seconds), sum(control_seconds2){1} FROM ({0}) AS known GROUP BY 1, 2, 3"
    " HAVING sum(control + human + automatic) > 0"
)
_TOGETHER = (
    "SELECT automation, stratum, share, ARRAY[0], ARRAY[sum(control)::bigint], ARRAY[sum(human)::bigint],"
    " ARRAY[sum(automatic)::bigint], ARRAY[sum(seconds)::float8], sum(control_seconds), sum(control_seconds2), sum(gain),"
    " sum(gain_variance) FROM ({}) AS known GROUP BY 1, 2, 3 HAVING sum(control + human + automatic) > 0"
)
_BOUNDS: Final = ("gain", "gain_variance")
# What cases by tier are to what buckets hold of them; their other measures are no part of it.
_BUCKET_FACTS: Final = ("cases", "human_seconds", "human_seconds2")


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


_OF_CASES = ("automation", "stratum", "share")
_WITH_BOUNDS = _Buckets("case_buckets", "case_sums", _OF_CASES, BUCKET_VALUES)
_CASE_BUCKETS = replace(_WITH_BOUNDS, measures={name: value for name, value in BUCKET_VALUES.items() if name not in _BOUNDS})
_CASE_TAIL: Final = tails.cases(_ALL, (*_CASE_ATTRIBUTES, *_CASE_MEASURES), _CASE_MEASURES)
_BUCKET_TAIL: Final = tails.cases(_BUCKET.format("decided_at"), _CASE_BUCKETS.of_sums, _BUCKET_FACTS)
_BOUNDS_TAIL: Final = tails.cases(_BUCKET.format("decided_at"), _WITH_BOUNDS.of_sums, (*_BUCKET_FACTS, *_BOUNDS))
_WHOLE_TAIL: Final = tails.cases(_ALL, _WITH_BOUNDS.of_sums, (*_BUCKET_FACTS, *_BOUNDS))
_MONEY_BUCKETS = _Buckets("money_buckets", "ledger_sums", ("automation", "kind", "grade", "currency"), {"amount": "amount"})


def cases(connection: Connection, wanted: Wanted) -> list[CaseSum]:
    """Sums of the period's decided cases."""
    columns = [name if name in wanted.apart or name not in _APART else f"'' AS {name}" for name in _CASE_ATTRIBUTES]
    rows, values = _known("case_sums", _CASE_ATTRIBUTES, _CASE_MEASURES, wanted)
    if wanted.as_of is not None:
        rows = union(rows, _CASE_TAIL)
    return list(starmap(CaseSum, connection.exec_driver_sql(summed(rows, columns, _CASE_MEASURES), values)))


def buckets(connection: Connection, wanted: Wanted, bucket: Bucket) -> list[BucketSums]:
    """The period's decided cases by bucket, with as little of each as a part of a period needs; a row for each would take longer."""
    rows, values = _by_bucket(_WITH_BOUNDS if wanted.bounds else _CASE_BUCKETS, wanted, bucket)
    if wanted.as_of is not None:
        rows = union(rows, _BOUNDS_TAIL if wanted.bounds else _BUCKET_TAIL)
    bounds = "".join(f", sum({name})" for name in _BOUNDS) if wanted.bounds else ""
    return list(starmap(BucketSums, connection.exec_driver_sql(_GATHERED.format(rows, bounds), values)))


def whole(connection: Connection, wanted: Wanted) -> list[BucketSums]:
    """The period's decided cases as one bucket, with what bounds need."""
    rows, values = _by_bucket(_WITH_BOUNDS, wanted, None)
    if wanted.as_of is not None:
        rows = union(rows, _WHOLE_TAIL)
    return list(starmap(BucketSums, connection.exec_driver_sql(_TOGETHER.format(rows), values)))


def money(connection: Connection, wanted: Wanted) -> list[MoneySum]:
    """Sums of the period's ledger lines with an amount."""
    rows, values = _known("ledger_sums", _MONEY_ATTRIBUTES, _MONEY_MEASURES, wanted)
    if wanted.as_of is not None:
        rows = union(rows, tails.lines(_ALL, (*_MONEY_ATTRIBUTES, *_MONEY_MEASURES)))
    statement = summed(rows, _MONEY_ATTRIBUTES, _MONEY_MEASURES, condition="WHERE currency <> '-'")
    return list(starmap(MoneySum, connection.exec_driver_sql(statement, values)))


def flows(connection: Connection, wanted: Wanted, bucket: Bucket) -> list[MoneyBuckets]:
    """As `money`, by bucket and of all arms together."""
    rows, values = _by_bucket(_MONEY_BUCKETS, wanted, bucket)
    if wanted.as_of is not None:
        rows = union(rows, tails.lines(_BUCKET.format("l.occurred_at"), _MONEY_BUCKETS.columns))
    statement = (
        f"SELECT automation, kind, grade, currency, {_STARTS}, array_agg(amount) FROM ({rows}) AS known WHERE currency <> '-'"  # noqa: S608  # constants
        " GROUP BY 1, 2, 3, 4"
    )
    found = starmap(MoneyBuckets, connection.exec_driver_sql(statement, values))
    return [row for row in found if sum(row.amounts) or any(row.by_bucket().values())]


def first_day(connection: Connection, tenant: str, automation: str, period: Period, as_of: datetime | None) -> datetime | None:
    """Start of the first day of the period with a decided case that is known, or was at a moment; None without any."""
    if as_of is not None:
        days = period.in_days()
        wanted = Wanted(tenant, Period(days.start, period.end), min(as_of, period.last), as_of, automation)
        return next((datetime.fromtimestamp(day, UTC) for day in begun(buckets(connection, wanted, Bucket.DAY))), None)
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
        rows = union(rows, tails.lines(_ALL, ("automation", "kind", "quantity")))
    statement = f"SELECT automation, sum(quantity) FROM ({rows}) AS known WHERE kind = %(kind)s GROUP BY 1 HAVING sum(quantity) <> 0"  # noqa: S608  # constants
    return dict(tuple(row) for row in connection.exec_driver_sql(statement, {**values, "kind": kind}))


def _known(table: str, attributes: Iterable[str], measures: Iterable[str], wanted: Wanted) -> tuple[str, dict[str, object]]:
    """Rows of a table of sums, and the values of the whole statement."""
    columns, less = [*attributes, *measures], [*attributes, *taken_away(measures)]
    values = _values(wanted, Grain.MONTH)
    if wanted.booked_before is None:
        return union(part(Which.ALL, _ALL, columns, table, BY_PERIOD), part(Which.BEYOND, _ALL, less, table, BY_PERIOD)), values
    return (
        union(
            part(Which.ALL, _ALL, columns, table, f"{BY_PERIOD} AND {BOOKED}"),
            part(Which.LATE, _ALL, columns, table, f"{BY_BOOKING} AND {BOOKED}"),
            part(Which.BEYOND, _ALL, less, table, f"{OF_EACH_PERIOD} AND {BOOKED}"),
            part(Which.EXCESS, _ALL, less, table, f"{BY_BOOKING} AND {BOOKED}"),
        ),
        values,
    )


def _by_bucket(tables: _Buckets, wanted: Wanted, bucket: Bucket | None) -> tuple[str, dict[str, object]]:
    """As `_known`, of both tables: as known at a moment, the buckets without the few sums that were booked later."""
    values = _values(wanted, Grain.MONTH if bucket is None else _COARSEST[bucket]) | {"bucket": bucket}
    place = _ALL if bucket is None else _BUCKET_OF_RUN

    def found(which: Which, columns: Iterable[str], table: str, condition: str) -> str:
        return part(which, place, columns, table, condition)

    every = found(Which.ALL, tables.columns, tables.table, BY_PERIOD)
    if wanted.booked_before is None:
        less = [*tables.attributes, *taken_away(tables.measures)]
        return union(every, found(Which.BEYOND, less, tables.table, BY_PERIOD)), values
    return (
        union(
            every,
            found(Which.ALL, tables.less, tables.sums, f"{OF_EACH_PERIOD} AND s.booked >= r.booked_to"),
            found(Which.LATE, tables.of_sums, tables.sums, f"{BY_BOOKING} AND {BOOKED}"),
            found(Which.BEYOND, tables.less, tables.sums, f"{OF_EACH_PERIOD} AND {BOOKED}"),
            found(Which.EXCESS, tables.less, tables.sums, f"{BY_BOOKING} AND {BOOKED}"),
        ),
        values,
    )


def _values(wanted: Wanted, coarsest: Grain) -> dict[str, object]:
    found = runs(wanted.period, coarsest, wanted.booked_before, unfinished=wanted.unfinished)
    tail = {} if wanted.as_of is None else tails.moments(wanted.as_of)
    asked = {"tenant": wanted.tenant, "automation": wanted.automation, "start": wanted.period.start, "end": wanted.period.end}
    return {**asked, **tail, **given(found)}
