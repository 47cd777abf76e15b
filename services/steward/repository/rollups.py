"""Adds committed facts to the roll-ups, each exactly once.

A window of facts is a range of transaction ids below every transaction that still runs, because sequences and clocks commit out of order
and a reader by them would skip rows for ever. The window's upper end becomes the next one's lower end in the transaction that adds the
window's facts: whoever is killed in between has added nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.ledger.sums import BUCKET_MEASURES, CASE_MEASURES, LINE_MEASURES, TIME, case_changes
from shared.measure.forecasts import BORROWED, FIRST_LOOK

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

_WINDOW = "{0}.xid >= %(lower)s::xid8 AND {0}.xid < %(upper)s::xid8"
_GRAINS = "(VALUES ('hour'), ('day'), ('week'), ('month')) AS g (grain)"
_MONEY_GRAINS = "(VALUES ('hour'), ('day'), ('week')) AS g (grain)"
_CASE_KEY = "tenant_id, grain, period, booked, automation, arm, stratum, tier, source, model_version, share"
_LINE_KEY = "tenant_id, grain, period, booked, automation, arm, kind, grade, currency"
_CASE_BUCKET = "tenant_id, grain, period, automation, stratum, share"
_MONEY_BUCKET = "tenant_id, grain, period, automation, kind, grade, currency"
# The hour that a fact's booking counts in.
BOOKED = "date_trunc('hour', {0}.booked_at, 'UTC')"
# Transactions rolled up at once: a long outage is caught up in steps that each end well before the statement timeout.
TRANSACTIONS = 2000
ROLLUPS = "rollups"
FACTS = ("decisions", "ledger_lines", "intake_batches")
# When the transaction of a fact began, where no `booked_at` says it.
_BEGAN = {"audit_findings": "created_at"}


@dataclass(frozen=True, slots=True)
class Window:
    """Transactions ``lower <= xid < upper``.

    Attributes:
        empty: no fact is in it.
        complete: the next window, if any, begins with the oldest transaction that still runs.
        through: every fact that was committed before lies below the oldest transaction that still runs. One that is left open, by whomever
            on this server, holds back what is committed after it began.
    """

    lower: int
    upper: int
    empty: bool
    complete: bool
    through: datetime

    def bounds(self) -> dict[str, str]:
        return {"lower": str(self.lower), "upper": str(self.upper)}


def lock_window(connection: Connection, name: str = ROLLUPS, facts: Sequence[str] = FACTS) -> Window | None:
    """The next window, locked until the transaction ends; None where another steward has it.

    Args:
        name: of the horizon; each has windows of its own.
        facts: tables with ``xid`` that are added up.
    """
    row = connection.exec_driver_sql(
        "SELECT horizon::text FROM rollup_horizons WHERE name = %(name)s FOR UPDATE SKIP LOCKED", {"name": name}
    ).one_or_none()
    if row is None:
        return None
    lower = int(row[0])
    firsts = ", ".join(f"(SELECT xid FROM {table} WHERE xid >= %(lower)s::xid8 ORDER BY xid LIMIT 1)" for table in facts)  # noqa: S608  # ours
    # A second statement: its snapshot is newer than the lock.
    first, oldest_running, through = connection.exec_driver_sql(
        f"SELECT least({firsts})::text, pg_snapshot_xmin(pg_current_snapshot())::text, least(now(), {_held_back(facts)})",
        {"lower": str(lower)},
    ).one()
    newest = max(int(oldest_running), lower)
    if first is None or int(first) >= newest:
        return Window(lower, newest, empty=True, complete=True, through=through)
    upper = min(newest, int(first) + TRANSACTIONS)
    return Window(lower, upper, empty=False, complete=upper == newest, through=through)


def _held_back(facts: Sequence[str]) -> str:
    """When the first committed fact beyond the oldest running transaction was begun: it was committed later, and so were all after it."""
    return ", ".join(
        f"(SELECT {_BEGAN.get(table, 'booked_at')} FROM {table}"  # noqa: S608  # ours
        " WHERE xid >= greatest(pg_snapshot_xmin(pg_current_snapshot()), %(lower)s::xid8) ORDER BY xid LIMIT 1)"
        for table in facts
    )


def advance(connection: Connection, window: Window, name: str = ROLLUPS) -> None:
    connection.exec_driver_sql(
        # What was once said to be summed up stays so: a fact that came later, of a transaction that began before, is not among it.
        "UPDATE rollup_horizons SET horizon = %(upper)s::xid8,"
        " rolled_at = CASE WHEN %(complete)s THEN greatest(rolled_at, %(through)s) ELSE rolled_at END"
        " WHERE name = %(name)s",
        {"upper": str(window.upper), "complete": window.complete, "through": window.through, "name": name},
    )


def make_forecasts(connection: Connection, window: Window) -> int:
    """What to expect of the cases of this window, from what was summed up before it; each day anew, and more often while little is known.

    The mean of the stratum's control cases, shrunk to that of all strata, and one slope of the covariate within strata: as
    `shared.measure.sequence` has it. The bounds keep a sum that is too large for its column from stopping the roll-ups.
    """
    made = connection.exec_driver_sql(_FORECASTS, window.bounds() | {"borrowed": BORROWED, "enough": FIRST_LOOK})
    return made.rowcount


def add_cases(connection: Connection, window: Window) -> int:
    """Decided cases with their human seconds; a line that comes after its case was counted corrects the sums by the difference."""
    return int(connection.exec_driver_sql(_CASES, window.bounds()).scalar_one())


def add_lines(connection: Connection, window: Window) -> int:
    """Ledger lines by kind; a reversal counts under the kind of the line that it reverses, so that sums by kind are net."""
    return int(connection.exec_driver_sql(_LINES, window.bounds()).scalar_one())


def add_conservation(connection: Connection, window: Window) -> int:
    """What came in, and how the decided cases were decided, by hour of receipt."""
    return connection.exec_driver_sql(_CONSERVATION, window.bounds()).rowcount


def add_arrivals(connection: Connection, window: Window) -> int:
    """Decided cases that needed a person, by day of receipt."""
    return connection.exec_driver_sql(
        "INSERT INTO arrival_days AS r (tenant_id, automation, day, people)"
        " SELECT tenant_id, automation, date_trunc('day', received_at, 'UTC'), count(*) FROM decisions"
        " WHERE xid >= %(lower)s::xid8 AND xid < %(upper)s::xid8 AND (arm = 'control' OR tier = 'human') GROUP BY 1, 2, 3"
        " ON CONFLICT (tenant_id, automation, day) DO UPDATE SET people = r.people + excluded.people",
        window.bounds(),
    ).rowcount


@dataclass(frozen=True, slots=True)
class Added:
    """What facts add to one table of sums.

    Attributes:
        key: columns that tell rows apart.
        measures: columns that are added up.
        rows: query of both, of the table expression ``changes`` (cases) or ``lines`` (ledger lines).
    """

    table: str
    key: str
    measures: tuple[str, ...]
    rows: str

    @property
    def columns(self) -> str:
        return f"{self.key}, {', '.join(self.measures)}"

    @property
    def insert(self) -> str:
        added = ", ".join(f"{name} = r.{name} + excluded.{name}" for name in self.measures)
        return f"INSERT INTO {self.table} AS r ({self.columns}) {self.rows} ON CONFLICT ({self.key}) DO UPDATE SET {added}"  # ours


# Built of constants of the program only.
CASES = Added(
    "case_sums",
    _CASE_KEY,
    tuple(CASE_MEASURES),
    "SELECT tenant_id, g.grain, date_trunc(g.grain, decided_at, 'UTC'), date_trunc(g.grain, booked, 'UTC'), automation, arm, stratum,"  # noqa: S608
    f" tier, source, model_version, share, {', '.join(f'sum({name})' for name in CASE_MEASURES)}"
    f" FROM changes CROSS JOIN {_GRAINS} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11",
)
CASE_BUCKETS = Added(
    "case_buckets",
    _CASE_BUCKET,
    tuple(BUCKET_MEASURES),
    "SELECT tenant_id, g.grain, date_trunc(g.grain, decided_at, 'UTC'), automation, stratum, share,"  # noqa: S608
    f" {', '.join(BUCKET_MEASURES.values())} FROM changes CROSS JOIN {_GRAINS} GROUP BY 1, 2, 3, 4, 5, 6",
)
LINES = Added(
    "ledger_sums",
    _LINE_KEY,
    tuple(LINE_MEASURES),
    "SELECT l.tenant_id, g.grain, date_trunc(g.grain, l.occurred_at, 'UTC'), date_trunc(g.grain, l.booked_at, 'UTC'), l.automation,"  # noqa: S608
    f" l.arm, l.kind, l.grade, l.currency, {', '.join(LINE_MEASURES.values())}"
    f" FROM lines l CROSS JOIN {_GRAINS} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9",
)
MONEY_BUCKETS = Added(
    "money_buckets",
    _MONEY_BUCKET,
    ("amount",),
    "SELECT l.tenant_id, g.grain, date_trunc(g.grain, l.occurred_at, 'UTC'), l.automation, l.kind, l.grade, l.currency, sum(l.amount)"  # noqa: S608
    f" FROM lines l CROSS JOIN {_MONEY_GRAINS} WHERE l.currency <> '-' GROUP BY 1, 2, 3, 4, 5, 6, 7",
)


def lines_of(visible: str) -> str:
    """The table expression ``lines``: those that fulfil a condition on ``l``, each under the kind of the line that it reverses."""
    return (
        "lines AS MATERIALIZED ("  # noqa: S608
        " SELECT l.tenant_id, l.occurred_at, l.booked_at, l.automation, coalesce(l.arm, '-') AS arm,"
        " coalesce(reversed.kind, l.kind) AS kind,"
        " l.grade, coalesce(l.currency, '-') AS currency, l.quantity, l.amount, l.reverses, l.case_id, l.sequence"
        f" FROM ledger_lines l LEFT JOIN ledger_lines reversed ON reversed.id = l.reverses WHERE {visible})"
    )


CONSERVATION_KEY = "tenant_id, automation, hour, booked"
CONSERVATION = ("received", "duplicate", "rejected", "automated", "human", "control")


def received(visible: str) -> str:
    """Query of `CONSERVATION_KEY` and `CONSERVATION`. Args: visible: condition on ``{0}``, a table with ``xid`` and ``booked_at``."""
    return (
        f"SELECT {CONSERVATION_KEY}, {', '.join(f'sum({name})' for name in CONSERVATION)} FROM ("  # noqa: S608
        "  SELECT i.tenant_id, i.automation, i.hour, date_trunc('hour', i.booked_at, 'UTC') AS booked, i.received, i.duplicate, i.rejected,"
        "   0 AS automated, 0 AS human, 0 AS control"
        f"  FROM intake_batches i WHERE {visible.format('i')}"
        "  UNION ALL"
        "  SELECT d.tenant_id, d.automation, date_trunc('hour', d.received_at, 'UTC'), date_trunc('hour', d.booked_at, 'UTC'), 0, 0, 0,"
        "   (d.arm = 'automated' AND d.tier <> 'human')::int, (d.arm = 'automated' AND d.tier = 'human')::int, (d.arm = 'control')::int"
        f"  FROM decisions d WHERE {visible.format('d')}"
        " ) AS facts GROUP BY 1, 2, 3, 4"
    )


_CONSERVATION = (
    f"INSERT INTO conservation_hourly AS c ({CONSERVATION_KEY}, {', '.join(CONSERVATION)}) {received(_WINDOW)}"
    f" ON CONFLICT ({CONSERVATION_KEY}) DO UPDATE SET {', '.join(f'{name} = c.{name} + excluded.{name}' for name in CONSERVATION)}"
)
_CASES = (
    "WITH "  # noqa: S608
    + case_changes(
        touched=(
            f"SELECT case_id FROM decisions d WHERE {_WINDOW.format('d')}"  # noqa: S608
            f" UNION SELECT case_id FROM ledger_lines l WHERE {_WINDOW.format('l')} AND {TIME}"
        ),
        visible="{0}.xid < %(upper)s::xid8",
        old="{0}.xid < %(lower)s::xid8",
        booked=BOOKED,
    )
    + f", sums AS ({CASES.insert} RETURNING 1), buckets AS ({CASE_BUCKETS.insert}) SELECT count(*) FROM sums"  # noqa: S608
)
_LINES = (
    f"WITH {lines_of(_WINDOW.format('l'))},"  # noqa: S608
    f" sums AS ({LINES.insert} RETURNING 1), buckets AS ({MONEY_BUCKETS.insert}) SELECT count(*) FROM sums"
)
_FORECASTS = (
    "WITH fresh AS ("  # noqa: S608
    "  SELECT d.tenant_id, d.automation, d.stratum, date_trunc('day', min(d.booked_at), 'UTC') AS day FROM decisions d"
    f"  WHERE {_WINDOW.format('d')} GROUP BY 1, 2, 3),"
    " strata AS ("
    "  SELECT w.tenant_id, w.automation, s.stratum, sum(s.cases) AS n, sum(s.human_seconds) AS y, sum(s.covariate) AS x,"
    "   sum(s.covariate2) - sum(s.covariate)^2 / sum(s.cases) AS xx,"
    "   sum(s.covariate_seconds) - sum(s.covariate) * sum(s.human_seconds) / sum(s.cases) AS xy"
    "  FROM (SELECT DISTINCT tenant_id, automation FROM fresh) w JOIN case_sums s ON s.tenant_id = w.tenant_id AND s.grain = 'month'"
    "   AND s.automation = w.automation AND s.arm = 'control'"
    "  GROUP BY 1, 2, 3 HAVING sum(s.cases) > 0),"
    " together AS ("
    "  SELECT tenant_id, automation, sum(n) AS n, sum(y) / sum(n) AS y, sum(x) / sum(n) AS x,"
    "   CASE WHEN sum(n) >= %(enough)s AND sum(xx) > 1e-6 THEN least(greatest(sum(xy) / sum(xx), -1e5), 1e5) ELSE 0 END AS slope"
    "  FROM strata GROUP BY 1, 2),"
    " due AS ("
    "  SELECT f.*, coalesce(t.n, 0) AS control FROM fresh f LEFT JOIN together t USING (tenant_id, automation)"
    "  LEFT JOIN LATERAL (SELECT o.control, o.day FROM forecasts o WHERE o.tenant_id = f.tenant_id AND o.automation = f.automation"
    "   AND o.stratum = f.stratum ORDER BY o.since DESC LIMIT 1) last ON true"
    "  WHERE last.day IS NULL OR t.n > last.control AND last.day < f.day OR t.n >= last.control + greatest(5, last.control / 4)),"
    " shrunk AS ("
    "  SELECT d.*, coalesce(t.slope, 0) AS slope,"
    "   (coalesce(s.y, 0) + %(borrowed)s * coalesce(t.y, 0)) / (coalesce(s.n, 0) + %(borrowed)s) AS y,"
    "   (coalesce(s.x, 0) + %(borrowed)s * coalesce(t.x, 0)) / (coalesce(s.n, 0) + %(borrowed)s) AS x"
    "  FROM due d LEFT JOIN strata s USING (tenant_id, automation, stratum) LEFT JOIN together t USING (tenant_id, automation))"
    " INSERT INTO forecasts (tenant_id, automation, stratum, since, day, control, intercept, slope)"
    " SELECT tenant_id, automation, stratum, %(lower)s::xid8, day, control, round(least(greatest(y - slope * x, -2e11), 2e11), 6),"
    " round(slope, 6) FROM shrunk ON CONFLICT DO NOTHING"
)
