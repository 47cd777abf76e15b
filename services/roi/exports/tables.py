"""Answers as tables: every single value of an answer is a column, named by its path, and every list a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, is_dataclass
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from services.roi.exports.cells import Cell, cell
from services.roi.schemas import Asked, Figures, LedgerLine, Part, Point

if TYPE_CHECKING:
    from services.roi.schemas import Breakdown, Foreign, Summary, Timeseries

Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Attributes: rows: may be a generator; read once."""

    name: str
    columns: Sequence[str]
    rows: Iterable[Row]


def summary(answer: Summary) -> list[Table]:
    """The figures, then the rates that were used, the shares of evidence and the money that is in no figure."""
    everything = [answer.total, *answer.automations]
    context = _context(answer) | {"headline": cell(answer.headline), "integrity": answer.soundness.integrity.value}
    columns = (*context, *paths(Figures), "money.unconverted")
    rows = [(*context.values(), *values(figures), _listed(figures.money.unconverted)) for figures in everything]
    left_out = [(figures.automation, rest) for figures in everything for rest in figures.money.unconverted]
    rates = [(figures.automation, rate) for figures in everything for rate in figures.rates]
    return [
        Table("summary", columns, rows),
        Table("by_grade", ("grade", "seconds"), [(cell(share.grade), share.seconds) for share in answer.by_grade]),
        Table(
            "rates",
            ("figures_of", "name", "automation", "value", "currency", "valid_from", "source"),
            [(cell(of), *(cell(value) for value in rate.model_dump().values())) for of, rate in rates],
        ),
        Table(
            "unconverted",
            ("figures_of", "kind", "currency", "amount"),
            [(cell(of), cell(rest.kind), rest.currency, rest.amount) for of, rest in left_out],
        ),
    ]


def breakdown(answer: Breakdown) -> list[Table]:
    """The parts, then their money by kind and currency."""
    money = [(part.key, sum_) for part in answer.parts for sum_ in part.money]
    return [
        _asked("breakdown", answer, Part, answer.parts, {"by": answer.by}),
        Table(
            "money",
            ("by", "key", "kind", "currency", "amount"),
            [(answer.by, cell(key), cell(sum_.kind), sum_.currency, sum_.amount) for key, sum_ in money],
        ),
    ]


def timeseries(answer: Timeseries) -> list[Table]:
    asked = _context(answer) | {"unconverted": " ".join(answer.unconverted) or None}
    columns = (*asked, "bucket", "automation", *paths(Point))
    rows = (
        (*asked.values(), answer.bucket, cell(series.automation), *values(point)) for series in answer.series for point in series.points
    )
    return [Table("timeseries", columns, rows)]


def ledger(lines: Iterable[LedgerLine]) -> Table:
    return Table("ledger", tuple(paths(LedgerLine)), (values(line) for line in lines))


def paths(model: type) -> Iterator[str]:
    """``saved.hours.low``: of every single value in a model or a dataclass, in the order of its fields."""
    for name, annotation in _fields(model):
        inner = _model_in(annotation)
        if inner is not None:
            yield from (f"{name}.{path}" for path in paths(inner))
        elif not _is_list(annotation):
            yield name


def values(found: object) -> Row:
    """In the order of `paths`."""
    return tuple(_value(found, path.split(".")) for path in paths(type(found)))


def _asked(name: str, answer: Asked, model: type[BaseModel], rows: Sequence[BaseModel], more: dict[str, Cell] | None = None) -> Table:
    """What was asked stands in every row, so that a row alone says what it is about."""
    context = _context(answer) | (more or {})
    return Table(name, (*context, *paths(model)), [(*context.values(), *values(row)) for row in rows])


def _context(answer: Asked) -> dict[str, Cell]:
    fields = Asked.model_fields
    return {
        field.serialization_alias or name: cell(getattr(answer, name)) for name, field in fields.items() if not _is_list(field.annotation)
    }


def _listed(money: Iterable[Foreign]) -> Cell:
    """In one cell, because a file of text has but one table: ``cash 100.000000 USD; platform 5.000000 CHF``."""
    return cell("; ".join(f"{rest.kind} {rest.amount:f} {rest.currency}" for rest in money) or None)


def _value(found: object, path: Sequence[str]) -> Cell:
    for name in path:
        found = None if found is None else getattr(found, name)
    return cell(found)


def _fields(model: type) -> Iterator[tuple[str, object]]:
    """Names and annotations."""
    if issubclass(model, BaseModel):
        return ((name, field.annotation) for name, field in model.model_fields.items())
    return iter(get_type_hints(model, include_extras=True).items())


def _model_in(annotation: object) -> type | None:
    """The model or dataclass that a field holds, if it may be null or not."""
    for option in _options(annotation):
        if isinstance(option, type) and (issubclass(option, BaseModel) or is_dataclass(option)):
            return option
    return None


def _is_list(annotation: object) -> bool:
    return any(get_origin(option) in {list, tuple, dict} for option in _options(annotation))


def _options(annotation: object) -> Iterator[object]:
    if get_origin(annotation) is Annotated:
        yield from _options(get_args(annotation)[0])
    elif get_origin(annotation) in {Union, UnionType}:
        for option in get_args(annotation):
            yield from _options(option)
    else:
        yield annotation
