"""The same period, cut by one dimension."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from services.roi import figures, valuation
from services.roi.schemas import Foreign, Interval, Part
from shared.measure.savings import combine

if TYPE_CHECKING:
    from services.roi.facts import CaseSum, MoneySum
    from services.roi.figures import Account
    from shared.measure.baselines import Grade

Row = TypeVar("Row")


class Dimension(StrEnum):
    AUTOMATION = "automation"
    ARM = "arm"
    TIER = "tier"
    GRADE = "grade"
    CURRENCY = "currency"
    STRATUM = "stratum"
    SOURCE = "source"
    MODEL_VERSION = "model_version"


# How cases and money fall into a dimension; a dimension that is absent is not one of theirs.
_CASES: Mapping[Dimension, Callable[[CaseSum], str]] = {
    Dimension.AUTOMATION: lambda row: row.automation,
    Dimension.ARM: lambda row: row.arm,
    Dimension.TIER: lambda row: row.tier,
    Dimension.STRATUM: lambda row: row.stratum,
    Dimension.SOURCE: lambda row: row.source,
    Dimension.MODEL_VERSION: lambda row: row.model_version,
}
_MONEY: Mapping[Dimension, Callable[[MoneySum], str]] = {
    Dimension.AUTOMATION: lambda row: row.automation,
    Dimension.ARM: lambda row: row.arm,
    Dimension.GRADE: lambda row: row.grade,
    Dimension.CURRENCY: lambda row: row.currency,
}
# Parts whose automated cases can be compared with a baseline. A tier's or a model's cannot: which cases reach it is no accident.
_COMPARABLE = (Dimension.AUTOMATION, Dimension.STRATUM, Dimension.SOURCE)


def apart(by: Dimension) -> frozenset[str]:
    """What sums must keep apart for this dimension, besides the usual attributes."""
    return frozenset({by.value} & {"source", "model_version"})


def parts(found: Sequence[Account], by: Dimension, min_grade: Grade) -> list[Part]:
    cases = _grouped([row for account in found for row in account.cases], _CASES.get(by))
    money = _grouped(figures.credited((row for account in found for row in account.money), min_grade), _MONEY.get(by))
    grades = {share.grade.value: share.seconds for share in figures.by_grade(found)} if by is Dimension.GRADE else {}
    saved = {key: _saved(found, rows, by) for key, rows in cases.items()}
    return [
        Part(
            key=key,
            cases=sum(row.cases for row in cases.get(key, [])) if by in _CASES else None,
            human_seconds=sum((row.seconds for row in cases.get(key, [])), Decimal(0)) if by in _CASES else None,
            seconds_saved=grades.get(key) if by is Dimension.GRADE else _point(saved.get(key)),
            interval=saved.get(key),
            money=_sums(money.get(key, [])),
        )
        for key in sorted({*cases, *money, *grades})
    ]


def _point(interval: Interval | None) -> Decimal | None:
    return None if interval is None else interval.point


def _saved(found: Sequence[Account], rows: Sequence[CaseSum], by: Dimension) -> Interval | None:
    if by not in _COMPARABLE or not rows:
        return None
    together = combine(
        figures.part(account, [row for row in rows if row.automation == account.automation])
        for account in found
        if any(row.automation == account.automation for row in rows)
    )
    return figures.interval(together)


def _sums(rows: Sequence[MoneySum]) -> list[Foreign]:
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        sums[row.kind, row.currency] += row.amount
    return [Foreign(kind=kind, currency=currency, amount=valuation.amount(value)) for (kind, currency), value in sorted(sums.items())]


def _grouped(rows: Sequence[Row], key: Callable[[Row], str] | None) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    if key is not None:
        for row in rows:
            groups.setdefault(key(row), []).append(row)
    return groups
