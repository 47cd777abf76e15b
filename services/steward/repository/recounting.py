"""Adds a tenant's sums up anew from its facts, and compares: whoever may change a sum changes every figure.

What is kept by the finest period is compared with the facts, a month of them at a time, so that a long ledger needs no more room than a
month of it; the longer periods, and what is made of several of these sums, with those. So a changed hour shows in its day as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from services.steward.repository import evidence
from services.steward.repository.rollups import BOOKED, CASES, CONSERVATION, CONSERVATION_KEY, LINES, ROLLUPS, Added, lines_of, received
from shared.casework import audits, experiment
from shared.errors import Rejected
from shared.ledger.sums import BUCKET_MEASURES, case_changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlalchemy import Connection

# Rows that are told one by one, of each table.
SHOWN: Final = 20
_BELOW: Final = "{0}.xid < %(upper)s::xid8"
_OURS: Final = f"{{0}}.tenant_id = %(tenant)s AND {_BELOW}"
_IN: Final = "{0} >= %(start)s::timestamptz AND {0} < %(end)s::timestamptz"
_BOOKED_IN: Final = f"{_OURS} AND {_IN.format('{0}.booked_at')}"
_BOOKED_THEN: Final = f"{_OURS} AND {_IN.format('{1}')}"


class Different(NamedTuple):
    """A row of sums that is not what it was made of adds up to. Attributes: key, kept, counted: as text."""

    table: str
    key: str
    kept: str
    counted: str


class Recount(NamedTuple):
    """Attributes: rows: of sums that were compared; different: how many are; shown: the first of each table."""

    rows: int
    different: int
    shown: list[Different]


@dataclass(frozen=True, slots=True)
class Sums:
    """Rows of one table, and what they must be.

    Attributes:
        counted: query of key and measures.
        kept: condition on those rows of the table.
        within: expression of ``facts`` whose months it is done by; None: at once.
        facts: the table of these.
        horizon: of the facts that count.
        before: table expressions that ``counted`` needs.
    """

    table: str
    key: str
    measures: tuple[str, ...]
    counted: str
    kept: str = "true"
    within: str | None = None
    facts: str = ""
    horizon: str = ROLLUPS
    before: tuple[str, ...] = field(default=())


class Part(NamedTuple):
    """What is compared in one step: rows of one table, of the facts of a month or of all. Attributes: start, end: as text."""

    sums: Sums
    start: str
    end: str


def recount(connection: Connection, tenant: str, watch: Callable[[Sequence[Part]], Iterable[Part]] = iter) -> Recount:
    """Compare every row of a tenant's sums with the facts below the horizon of its roll-ups; call it in a snapshot.

    Args:
        watch: gives back the parts that it is given, one by one: whoever waits sees how far it is.

    Raises:
        Rejected: there is none of that name.
    """
    if not tenant_exists(connection, tenant):
        raise Rejected(f"there is no tenant {tenant!r}")
    # Millions of facts take longer than any request may.
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    rows = different = 0
    shown: dict[str, list[Different]] = {}
    for sums, start, end in watch([Part(one, *month) for one in ALL for month in _months(connection, tenant, one)]):
        values = {"tenant": tenant, "upper": _horizon(connection, sums.horizon), "shown": SHOWN, "start": start, "end": end}
        found = connection.exec_driver_sql(_compared(sums), values).all()
        rows, different = rows + int(found[0][0]), different + int(found[0][1])
        shown.setdefault(sums.table, []).extend(Different(sums.table, *row[2:]) for row in found if row[2] is not None)
    return Recount(rows, different, [row for those in shown.values() for row in those[:SHOWN]])


def tenant_exists(connection: Connection, tenant: str) -> bool:
    """A misspelt one has nothing that could be wrong."""
    return connection.exec_driver_sql("SELECT 1 FROM tenants WHERE id = %(tenant)s", {"tenant": tenant}).one_or_none() is not None


def _horizon(connection: Connection, name: str) -> str:
    return str(connection.exec_driver_sql("SELECT rollup_horizon(%(name)s)::text", {"name": name}).scalar_one())


def _months(connection: Connection, tenant: str, sums: Sums) -> Iterator[tuple[str, str]]:
    """Start and end of each month with facts; the first and the last one have no end, because sums may lie where no fact is."""
    edges: list[str] = []
    if sums.within is not None:
        statement = (
            f"SELECT generate_series(date_trunc('month', min({sums.within}), 'UTC') + interval '1 month',"  # noqa: S608  # constants
            f" max({sums.within}), interval '1 month')::text FROM {sums.facts} WHERE tenant_id = %(tenant)s"
        )
        edges = list(connection.exec_driver_sql(statement, {"tenant": tenant}).scalars())
    yield from zip(["-infinity", *edges], [*edges, "infinity"], strict=True)


def _compared(sums: Sums) -> str:
    """One row for each difference that is shown, and one at least, behind how many rows there are and how many of them differ."""
    kept, counted = (f"ROW({', '.join(f'trim_scale(coalesce({side}.{name}, 0))' for name in sums.measures)})" for side in ("s", "e"))
    expected = f"expected ({sums.key}, {', '.join(sums.measures)}) AS ({sums.counted})"
    return (
        f"WITH {', '.join([*sums.before, expected])},"  # noqa: S608  # constants
        f" compared AS (SELECT ROW({sums.key})::text AS key, {kept} AS kept, {counted} AS counted"
        f"  FROM expected e FULL JOIN (SELECT * FROM {sums.table} WHERE tenant_id = %(tenant)s AND {sums.kept}) s USING ({sums.key})),"
        " different AS (SELECT key, kept::text AS kept, counted::text AS counted FROM compared WHERE kept IS DISTINCT FROM counted)"
        " SELECT (SELECT count(*) FROM compared), (SELECT count(*) FROM different), d.key, d.kept, d.counted"
        " FROM (VALUES (1)) AS one LEFT JOIN (SELECT * FROM different ORDER BY key LIMIT %(shown)s) d ON true"
    )


def _sum(names: tuple[str, ...]) -> str:
    return ", ".join("min(least)" if name == "least" else f"sum({name})" for name in names)


def _of_hours(table: Added) -> Sums:
    """Days, weeks and months, from the hours of the same table."""
    others = table.key.removeprefix("tenant_id, grain, period, booked, ")
    return Sums(
        table.table,
        table.key,
        table.measures,
        "SELECT s.tenant_id, g.grain, date_trunc(g.grain, s.period, 'UTC'), date_trunc(g.grain, s.booked, 'UTC'),"  # noqa: S608  # constants
        f" {others}, {_sum(table.measures)} FROM {table.table} s CROSS JOIN (VALUES ('day'), ('week'), ('month')) AS g (grain)"
        f" WHERE s.tenant_id = %(tenant)s AND s.grain = 'hour' GROUP BY s.tenant_id, 2, 3, 4, {others}",
        kept="grain <> 'hour'",
    )


def _by_booking(name: str, key: str, measures: tuple[str, ...], facts: str, horizon: str) -> Iterator[Sums]:
    """Tables of hours, from facts with ``booked``, and of days and months, from the hours."""
    yield Sums(
        f"{name}_hours",
        f"{key}, hour",
        measures,
        f"SELECT {key}, date_trunc('hour', booked, 'UTC') AS start, {_sum(measures)} FROM ({facts}) AS facts GROUP BY {key}, start",  # noqa: S608  # constants
        _IN.format("hour"),
        "booked_at",
        "decisions",
        horizon,
    )
    for period in ("day", "month"):
        yield Sums(
            f"{name}_{period}s",
            f"{key}, {period}",
            measures,
            f"SELECT {key}, date_trunc('{period}', hour, 'UTC') AS start, {_sum(measures)} FROM {name}_hours"  # noqa: S608  # constants
            f" WHERE tenant_id = %(tenant)s GROUP BY {key}, start",
        )


_SCORES: Final = (*evidence.SCORES, "least")
_SCORE_OTHERS: Final = "tier, model_version, proposed, bin"
ALL: Final = (
    Sums(
        CASES.table,
        CASES.key,
        CASES.measures,
        # The other grains are left out before they are added up.
        f"SELECT * FROM ({CASES.rows}) AS every WHERE grain = 'hour'",  # noqa: S608  # constants
        f"grain = 'hour' AND {_IN.format('period')}",
        "decided_at",
        "decisions",
        before=(
            case_changes(
                touched=f"SELECT case_id FROM decisions d WHERE {_OURS.format('d')} AND {_IN.format('d.decided_at')}",  # noqa: S608  # constants
                visible=_BELOW,
                old="false",
                booked=BOOKED,
            ),
        ),
    ),
    _of_hours(CASES),
    Sums(
        "case_buckets",
        "tenant_id, grain, period, automation, stratum, share",
        tuple(BUCKET_MEASURES),
        f"SELECT tenant_id, grain, period, automation, stratum, share, {', '.join(BUCKET_MEASURES.values())} FROM case_sums"  # noqa: S608  # constants
        " WHERE tenant_id = %(tenant)s GROUP BY 1, 2, 3, 4, 5, 6",
    ),
    Sums(
        LINES.table,
        LINES.key,
        LINES.measures,
        f"SELECT * FROM ({LINES.rows}) AS every WHERE grain = 'hour'",  # noqa: S608  # constants
        f"grain = 'hour' AND {_IN.format('booked')}",
        "booked_at",
        "ledger_lines",
        before=(lines_of(_BOOKED_IN.format("l")),),
    ),
    _of_hours(LINES),
    Sums(
        "money_buckets",
        "tenant_id, grain, period, automation, kind, grade, currency",
        ("amount",),
        "SELECT tenant_id, grain, period, automation, kind, grade, currency, sum(amount) FROM ledger_sums"
        " WHERE tenant_id = %(tenant)s AND grain <> 'month' AND currency <> '-' GROUP BY 1, 2, 3, 4, 5, 6, 7",
    ),
    Sums(
        "conservation_hourly",
        CONSERVATION_KEY,
        CONSERVATION,
        received(_BOOKED_IN),
        _IN.format("booked"),
        "booked_at",
        "decisions",
    ),
    Sums(
        "arrival_days",
        "tenant_id, automation, day",
        ("people",),
        "SELECT tenant_id, automation, date_trunc('day', hour, 'UTC'), sum(human + control) FROM conservation_hourly"
        " WHERE tenant_id = %(tenant)s GROUP BY 1, 2, 3",
    ),
    *_by_booking("audit", "tenant_id, automation", (*audits.SUMS, "least"), audits.facts(_BOOKED_THEN), audits.HORIZON),
    *_by_booking(
        "experiment",
        "tenant_id, automation, share",
        experiment.MEASURES,
        f"SELECT *, booked_at AS booked FROM ({experiment.facts(_BOOKED_IN)}) AS known",  # noqa: S608  # constants
        evidence.HORIZON,
    ),
    Sums(
        "score_sums",
        evidence.SCORE_KEY,
        _SCORES,
        f"SELECT tenant_id, automation, 'day', date_trunc('day', decided_at, 'UTC'), {_SCORE_OTHERS}, date_trunc('day', booked_at, 'UTC'),"  # noqa: S608  # constants
        f" {_sum(_SCORES)} FROM ({evidence.scored(_BOOKED_THEN)}) AS facts GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9",
        f"grain = 'day' AND {_IN.format('booked')}",
        "booked_at",
        "decisions",
        evidence.HORIZON,
    ),
    Sums(
        "score_sums",
        evidence.SCORE_KEY,
        _SCORES,
        "SELECT tenant_id, automation, g.grain, date_trunc(g.grain, period, 'UTC') AS start, "  # noqa: S608  # constants
        f"{_SCORE_OTHERS}, date_trunc(g.grain, booked, 'UTC') AS known, {_sum(_SCORES)}"
        " FROM (SELECT tenant_id, automation, period, booked, tier, model_version, proposed, bin, "
        f"{', '.join(_SCORES)} FROM score_sums WHERE tenant_id = %(tenant)s AND grain = 'day') AS days"
        f" CROSS JOIN (VALUES ('week'), ('month')) AS g (grain) GROUP BY tenant_id, automation, g.grain, start, {_SCORE_OTHERS}, known",
        kept="grain <> 'day'",
    ),
)
