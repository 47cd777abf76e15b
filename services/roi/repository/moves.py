"""What was known of a period at two moments: what both know is read once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from services.roi.facts import MoneySum, Moved, Side, Sides
from services.roi.grains import NEVER, Which, nearest_hour, runs_of_two
from services.roi.period import Period
from services.roi.repository import tails
from services.roi.repository.rows import BOOKED, BY_BOOKING, BY_PERIOD, OF_EACH_PERIOD, given, part, summed, taken_away, union

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from services.roi.facts import Apart
    from services.roi.grains import Run

_Sums = dict[tuple[Any, ...], list[Any]]
# Which part of the period something is of, and which moments know it.
_KNOWN = ("recent", "earlier", "later")
_PLACE = "r.after AS recent, k.booked < r.known_to AS earlier, r.later AS later"
_OF_FACTS = "{{0}} >= %(boundary)s AS recent, {0} AS earlier, {1} AS later"
_TAILS: Final = {"earlier_": _OF_FACTS.format("true", "false"), "later_": _OF_FACTS.format("false", "true")}
_DRAWN = ("automation", "arm", "stratum", "share")
_CASE_MEASURES = ("cases", "human_seconds", "human_seconds2", "late_seconds")
_MONEY = ("kind", "grade", "currency")
_MONEY_MEASURES = ("amount", "reversed")


def _parts(table: str, attributes: Iterable[str], measures: Iterable[str]) -> str:
    columns, less = [*attributes, *measures], [*attributes, *taken_away(measures)]
    return union(
        part(Which.ALL, _PLACE, columns, table, f"{BY_PERIOD} AND {BOOKED}"),
        part(Which.LATE, _PLACE, columns, table, f"{BY_BOOKING} AND {BOOKED}"),
        part(Which.BEYOND, _PLACE, less, table, f"{OF_EACH_PERIOD} AND {BOOKED}"),
        part(Which.EXCESS, _PLACE, less, table, f"{BY_BOOKING} AND {BOOKED}"),
    )


_CASES: Final = summed(
    union(
        _parts("case_sums", _DRAWN, _CASE_MEASURES),
        *(tails.cases(place.format("decided_at"), (*_DRAWN, *_CASE_MEASURES), _CASE_MEASURES, moment) for moment, place in _TAILS.items()),
    ),
    (*_KNOWN, *_DRAWN),
    _CASE_MEASURES,
)
_AMOUNTS: Final = summed(
    union(
        _parts("ledger_sums", _MONEY, _MONEY_MEASURES),
        *(tails.lines(place.format("l.occurred_at"), (*_MONEY, *_MONEY_MEASURES), moment) for moment, place in _TAILS.items()),
    ),
    (*_KNOWN, *_MONEY),
    _MONEY_MEASURES,
)


def known(connection: Connection, wanted: Apart) -> tuple[Sides, Sides]:
    """What the earlier moment knew, and what the later one did."""
    values = _values(wanted)
    cases = _apart(connection.exec_driver_sql(_CASES, values), len(_DRAWN))
    money = _apart(connection.exec_driver_sql(_AMOUNTS, values), len(_MONEY))
    early, recent, early_later, recent_later = (
        Side(
            [Moved._make((*key, *sums)) for key, sums in found.items()],
            [MoneySum._make(("", "", *key, *sums)) for key, sums in booked.items() if key[-1] != "-"],
        )
        for found, booked in zip(cases, money, strict=True)
    )
    return Sides(early, recent), Sides(early_later, recent_later)


def _values(wanted: Apart) -> dict[str, object]:
    later = NEVER if wanted.later is None else wanted.later
    return {
        "tenant": wanted.tenant,
        "automation": wanted.automation,
        "start": wanted.period.start,
        "end": wanted.period.end,
        "boundary": wanted.boundary,
        **tails.moments(wanted.earlier, "earlier_"),
        **tails.moments(later, "later_"),
        **given(_runs(wanted)),
    }


def _runs(wanted: Apart) -> Iterable[Run]:
    earlier, later = nearest_hour(wanted.earlier), None if wanted.later is None else nearest_hour(wanted.later)
    yield from runs_of_two(Period(wanted.period.start, wanted.boundary), earlier, later)
    for run in runs_of_two(Period(wanted.boundary, wanted.period.end), earlier, later, unfinished=wanted.unfinished):
        yield replace(run, after=True)


def _apart(rows: Iterable[Sequence[Any]], attributes: int) -> list[_Sums]:
    """Early and recent of the earlier moment, early and recent of the later one; what was added and taken away again is in none."""
    sides: list[_Sums] = [{}, {}, {}, {}]
    for recent, earlier, later, *row in rows:
        key, values = tuple(row[:attributes]), row[attributes:]
        for side in (sides[recent],) * earlier + (sides[2 + recent],) * later:
            there = side.get(key)
            side[key] = values if there is None else [one + other for one, other in zip(there, values, strict=True)]
    return [{key: values for key, values in side.items() if any(values)} for side in sides]
