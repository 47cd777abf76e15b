"""Facts beside the sums, as parts of a statement: between a moment and the full hour next to it, and those that are not summed up yet.

They are found by their index, one by one. Values that a part needs are in `moments`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final

from services.roi.grains import nearest_hour
from services.roi.period import LEAST
from services.roi.repository.rows import OF_ITS_AUTOMATION
from shared.ledger.sums import CORRECTS, TIME, case_differences

if TYPE_CHECKING:
    from datetime import datetime

_NAMES: Final = ("as_of", "hour", "first", "last")
# Once, for it is asked about each fact; how many there are is known already.
_ROLLED_UP = "{0}.xid < (SELECT rollup_horizon('rollups'))"
_FRESH = (
    "SELECT {1} FROM {0} f WHERE f.tenant_id = %(tenant)s AND f.booked_at >= %(first)s AND f.booked_at <= %(last)s{2}"
    " UNION ALL SELECT {1} FROM {0} f WHERE f.tenant_id = %(tenant)s AND f.booked_at < %(first)s"
    " AND f.xid >= rollup_horizon('rollups'){2}"
)
_CASES = (
    "SELECT * FROM (WITH {} SELECT {}, {} FROM changes"  # noqa: S608  # constants
    f" WHERE decided_at >= %(start)s AND decided_at < %(end)s AND {OF_ITS_AUTOMATION}) AS tail"
)
_LINES = (
    f" FROM ({_FRESH.format('ledger_lines', 'f.*', '')}) AS l LEFT JOIN ledger_lines r ON r.id = l.reverses"
    " WHERE l.occurred_at >= %(start)s AND l.occurred_at < %(end)s"
    " AND (%(automation)s::text IS NULL OR l.automation = %(automation)s)"
    f" AND (l.booked_at <= %(as_of)s OR {_ROLLED_UP.format('l')})"
)
# What is in the sums of the hour and was booked after the moment is taken away.
_COUNTED = "CASE WHEN l.booked_at <= %(as_of)s THEN {0} ELSE -{0} END"
_AMOUNT = _COUNTED.format("coalesce(l.amount, 0)")
# By name, what a line has that a row of the sums has.
_OF_LINES: Final = {
    "automation": "l.automation",
    "arm": "coalesce(l.arm, '-')",
    "kind": "coalesce(r.kind, l.kind)",
    "grade": "l.grade",
    "currency": "coalesce(l.currency, '-')",
    "amount": _AMOUNT,
    "reversed": f"CASE WHEN {CORRECTS} THEN {_AMOUNT} ELSE 0 END",
    "quantity": _COUNTED.format("coalesce(l.quantity, 0)"),
}


def cases(place: str, columns: Iterable[str], measures: Collection[str], moment: str = "") -> str:
    """Cases.

    Args:
        place: expression of ``decided_at`` for where in the answer a case belongs.
        columns: expressions of a case's attributes and measures.
        measures: those that the columns need.
        moment: as in `moments`.
    """
    found = case_differences(
        measures,
        touched=f"({_FRESH.format('decisions', 'f.case_id', '')}) UNION ({_FRESH.format('ledger_lines', 'f.case_id', f' AND {TIME}')})",
        visible="{0}.tenant_id = %(tenant)s AND {0}.booked_at <= %(last)s",
        old=f"({_ROLLED_UP} AND {{0}}.booked_at < %(hour)s)",
        new="{0}.booked_at <= %(as_of)s",
    )
    return _about(moment, _CASES.format(found, place, ", ".join(columns)))


def lines(place: str, names: Iterable[str], moment: str = "") -> str:
    """Ledger lines; as `cases`, with an expression of ``l.occurred_at`` and columns of ``ledger_sums``."""
    return _about(moment, f"SELECT {place}, {', '.join(f'{_OF_LINES[name]} AS {name}' for name in names)}{_LINES}")


def moments(as_of: datetime, moment: str = "") -> dict[str, datetime]:
    """The moment, the full hour that the sums are cut off at, and the first and the last microsecond between them.

    Args:
        moment: what tells the moments of one statement apart.
    """
    hour = nearest_hour(as_of)
    first, last = (hour, as_of) if hour <= as_of else (as_of + LEAST, hour - LEAST)
    return {f"{moment}{name}": value for name, value in zip(_NAMES, (as_of, hour, first, last), strict=True)}


def _about(moment: str, part: str) -> str:
    for name in _NAMES:
        part = part.replace(f"%({name})s", f"%({moment}{name})s")
    return part
