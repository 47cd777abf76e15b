"""What commands for people have in common."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import typer
from pydantic_settings import BaseSettings
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from shared.errors import RecoupError
from shared.settings import load

# What moves the cursor of a terminal or turns its text around: names come from whoever may write one.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def check_option(command: str, settings: type[BaseSettings]) -> Any:
    """The option ``--check``: a command reads its settings, says that they are valid, and ends before anything else is done."""

    def check(value: bool) -> None:  # noqa: FBT001  # the signature of an option's callback
        if value:
            load(settings)
            typer.echo(f"The settings of {command} are valid.")
            raise typer.Exit

    return typer.Option("--check", callback=check, is_eager=True, help="Validate the settings and exit.")


def no_such_tenant(tenant: str) -> typer.BadParameter:
    """Ends a command with 2: a misspelt tenant is a mistake of whoever asks, and no finding."""
    return typer.BadParameter(f"there is no tenant {tenant!r}; `recoup keys tenant list` says which there are")


def told(error: RecoupError) -> str:
    """What went wrong and with which values, in one line."""
    values = [f"{name.replace('_', ' ')}: {_said(value)}" for name, value in error.context.items()]
    return f"{error.message} ({'; '.join(values)})" if values else error.message


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple | set | frozenset) else str(value)


def plain(text: str) -> Text:
    """Text as it is, whoever wrote it: square brackets are no markup, and nothing in it moves the cursor."""
    return Text(_still(text))


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """On the standard output, as `listed` says; as wide as its content where that is no terminal."""
    console = Console()
    for line in listed(columns, rows, console.width if console.is_terminal else None):
        typer.echo(line)


def listed(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None, *, numbers: bool = False) -> Iterator[str]:
    """Lines of a table where its rows fit into ``width`` cells of a terminal, else of a block for each row, empty values left out.

    Ids and names are there to be copied: none is cut or broken to make a table fit. By hand, because rich takes a second for 500 rows.

    Args:
        numbers: all but the first column stand at the right.
    """
    shown = [[_still(value) for value in row] for row in rows]
    wide = [max(map(cell_len, column)) for column in zip(columns, *shown, strict=True)]
    if not rows or width is None or _framed(wide) <= width:
        return _table([list(columns), *shown], wide, numbers=numbers)
    return _blocks(columns, shown)


def _framed(wide: Sequence[int]) -> int:
    return sum(wide) + 3 * len(wide) + 1


def _table(rows: list[list[str]], wide: list[int], *, numbers: bool) -> Iterator[str]:
    yield "┏" + "┳".join("━" * (cells + 2) for cells in wide) + "┓"
    for number, row in enumerate(rows):
        side = "│" if number else "┃"
        padded = [_padded(value, cells, right=numbers and column > 0) for column, (value, cells) in enumerate(zip(row, wide, strict=True))]
        yield side + side.join(f" {value} " for value in padded) + side
        if not number:
            yield "┡" + "╇".join("━" * (cells + 2) for cells in wide) + "┩"
    yield "└" + "┴".join("─" * (cells + 2) for cells in wide) + "┘"


def _padded(value: str, cells: int, *, right: bool) -> str:
    room = " " * (cells - cell_len(value))
    return room + value if right else value + room


def _blocks(columns: Sequence[str], rows: list[list[str]]) -> Iterator[str]:
    name_width = max(map(len, columns))
    for row in rows:
        yield from (f"{name:{name_width}}  {value}" for name, value in zip(columns, row, strict=True) if value)
        yield ""


def _still(text: str) -> str:
    return _CONTROL.sub("\ufffd", text)
