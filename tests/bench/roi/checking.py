"""Whether the loaded sums are those of the loaded facts: a sample, added up anew by the steward's own statement."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import psycopg

from shared.ledger.sums import CASE_MEASURES, LINE_MEASURES, case_changes
from tests.bench.roi.loading import DAYS, TENANTS

_KEY = ("booked", "automation", "arm", "stratum", "tier", "source", "model_version", "share")
_LINE_KEY = ("booked", "automation", "arm", "kind", "grade", "currency")
_DAY = "date_trunc('day', now() - %(ago)s * interval '1 day')"
_STORED_CASES = (
    f"SELECT {', '.join((*_KEY, *CASE_MEASURES))} FROM case_sums WHERE tenant_id = %(tenant)s AND grain = 'day' AND period = {_DAY}"
)
_RECOMPUTED_CASES = (
    "WITH "
    + case_changes(
        touched="SELECT case_id FROM decisions WHERE tenant_id = %(tenant)s"
        f" AND decided_at >= {_DAY} AND decided_at < {_DAY} + interval '1 day'",
        visible="true",
        old="false",
        booked="date_trunc('hour', {0}.booked_at)",
    )
    + f" SELECT date_trunc('day', booked), {', '.join(_KEY[1:])}, {', '.join(f'sum({name})' for name in CASE_MEASURES)}"
    f" FROM changes GROUP BY {', '.join(str(place + 1) for place in range(len(_KEY)))}"
)
_STORED_LINES = (
    f"SELECT {', '.join((*_LINE_KEY, *LINE_MEASURES))} FROM ledger_sums WHERE tenant_id = %(tenant)s AND grain = 'day' AND period = {_DAY}"
)
# By the cases of the day, whose lines are found by their index; a platform line has no case.
_RECOMPUTED_LINES = (
    "SELECT date_trunc('day', l.booked_at), l.automation, coalesce(l.arm, '-'), l.kind, l.grade, coalesce(l.currency, '-'),"
    f" {', '.join(LINE_MEASURES.values())} FROM decisions d JOIN ledger_lines l ON l.case_id = d.case_id"
    f" WHERE d.tenant_id = %(tenant)s AND d.decided_at >= {_DAY} AND d.decided_at < {_DAY} + interval '1 day' GROUP BY 1, 2, 3, 4, 5, 6"
)


def check_sample(admin_url: str, *, days: int, seed: int = 3) -> int:
    """Compare the sums of some days of some tenants; returns how many cases were looked at.

    Raises:
        AssertionError: a sum is not that of its facts.
    """
    draw = random.Random(seed)
    seen = Decimal(0)
    with psycopg.connect(admin_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        for _ in range(days):
            values = {"tenant": draw.choice(TENANTS), "ago": draw.randrange(1, DAYS - 1)}
            stored, anew = (_sums(connection, statement, values, len(_KEY)) for statement in (_STORED_CASES, _RECOMPUTED_CASES))
            assert stored == anew, f"case_sums of {values} differ from the facts"
            lines, again = (_sums(connection, statement, values, len(_LINE_KEY)) for statement in (_STORED_LINES, _RECOMPUTED_LINES))
            assert {key: sums for key, sums in lines.items() if "platform" not in key} == again, f"ledger_sums of {values} differ"
            seen += sum((sums[0] for sums in anew.values()), Decimal(0))
    return int(seen)


def _sums(
    connection: psycopg.Connection[Any], statement: str, values: dict[str, Any], key: int
) -> dict[tuple[Any, ...], tuple[Decimal, ...]]:
    rows = connection.execute(statement.encode(), values).fetchall()
    return {tuple(row[:key]): tuple(Decimal(value) for value in row[key:]) for row in rows}
