"""Rows of the tables of sums, as parts of a statement: each run by itself, by the index that suits it whatever the values are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from services.roi.grains import Which

if TYPE_CHECKING:
    from services.roi.grains import Run

OF_ITS_AUTOMATION: Final = "(%(automation)s::text IS NULL OR automation = %(automation)s)"
BY_PERIOD: Final = "s.period >= r.start AND s.period < r.until"
BOOKED: Final = "s.booked >= r.booked_from AND s.booked < r.booked_to"
# One period after the other: between two bookings that are asked for the index of periods has all others of each period.
OF_EACH_PERIOD: Final = "s.period = step.period"
# Not by the index of periods.
BY_BOOKING: Final = "s.period + interval '0' >= r.start AND s.period + interval '0' < r.until"
# By name in a statement, what of a run it is.
_MOMENTS: Final = {"start": "start", "until": "end", "booked_from": "booked_from", "booked_to": "booked_to", "known_to": "known_to"}
_FLAGS: Final = ("after", "later")
_COLUMNS: Final = ", ".join(["grain text", *(f"{name} timestamptz" for name in _MOMENTS), *(f"{name} bool" for name in _FLAGS)])
# The runs are one value: with a list for each column whole answers take up to a tenth longer.
_PART = (
    f"SELECT {{1}}, {{2}} FROM json_to_recordset(%({{0}})s::json) AS r ({_COLUMNS}){{5}} CROSS JOIN LATERAL ("  # noqa: S608  # constants
    f" SELECT * FROM {{3}} s WHERE s.tenant_id = %(tenant)s AND s.grain = r.grain AND {{4}} AND {OF_ITS_AUTOMATION} OFFSET 0) AS k"
)
_STEPS: Final = (
    " CROSS JOIN LATERAL generate_series(r.start, r.until - interval '1 microsecond',"
    " CASE r.grain WHEN 'hour' THEN interval '1 hour' WHEN 'day' THEN interval '24 hours' WHEN 'week' THEN interval '168 hours'"
    " ELSE interval '1 month' END) AS step (period)"
)


def part(which: Which, place: str, columns: Iterable[str], table: str, condition: str) -> str:
    """Args: place: expression for where in the answer a row ``k`` of the run ``r`` belongs; condition: on a row ``s``."""
    return _PART.format(which, place, ", ".join(columns), table, condition, _STEPS if OF_EACH_PERIOD in condition else "")


def union(*parts: str) -> str:
    return " UNION ALL ".join(parts)


def taken_away(measures: Iterable[str]) -> list[str]:
    """Columns of measures that count against the others."""
    return [f"-{name} AS {name}" for name in measures]


def summed(rows: str, attributes: Sequence[str], measures: Iterable[str], *, condition: str = "") -> str:
    """A statement of the sums by attributes, without what was added and taken away again."""
    sums = {name: f"sum({name})" for name in measures}
    totals = [f"{total}::bigint" if name == "cases" else total for name, total in sums.items()]
    places = ", ".join(str(number + 1) for number in range(len(attributes)))
    having = " OR ".join(f"{total} <> 0" for total in sums.values())
    return f"SELECT {', '.join([*attributes, *totals])} FROM ({rows}) AS known {condition} GROUP BY {places} HAVING {having}"  # noqa: S608  # constants


def given(found: Iterable[Run]) -> Mapping[str, str]:
    """Values of a statement that is made of parts."""
    rows: dict[Which, list[str]] = {which: [] for which in Which}
    for run in found:
        rows[run.which].append(_as_json(run))
    return {which.value: f"[{','.join(own)}]" for which, own in rows.items()}


def _as_json(run: Run) -> str:
    moments = ",".join(f'"{name}":"{getattr(run, attribute).isoformat()}"' for name, attribute in _MOMENTS.items())
    flags = ",".join(f'"{name}":{"true" if getattr(run, name) else "false"}' for name in _FLAGS)
    return f'{{"grain":"{run.grain}",{moments},{flags}}}'
