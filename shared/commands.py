"""What commands for people have in common."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import typer
from pydantic_settings import BaseSettings
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from shared.errors import RecoupError
from shared.settings import load

# What moves the cursor of a terminal or turns its text around: names come from whoever may write one.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_WIDEST: Final = 10_000


def check_option(command: str, settings: type[BaseSettings]) -> Any:
    """The option ``--check``: a command reads its settings, says that they are valid, and ends before anything else is done."""

    def check(value: bool) -> None:  # noqa: FBT001  # the signature of an option's callback
        if value:
            load(settings)
            typer.echo(f"The settings of {command} are valid.")
            raise typer.Exit

    return typer.Option("--check", callback=check, is_eager=True, help="Validate the settings and exit.")


def told(error: RecoupError) -> str:
    """What went wrong and with which values, in one line."""
    values = [f"{name.replace('_', ' ')}: {_said(value)}" for name, value in error.context.items()]
    return f"{error.message} ({'; '.join(values)})" if values else error.message


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple | set | frozenset) else str(value)


def plain(text: str) -> Text:
    """Text as it is, whoever wrote it: square brackets are no markup, and nothing in it moves the cursor."""
    return Text(_CONTROL.sub("\ufffd", text))


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """On the standard output, as `listed` says; as wide as its content where that is no terminal."""
    console = Console()
    if not console.is_terminal:
        console.width = _WIDEST
    console.print(listed(columns, rows, console.width))


def listed(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> RenderableType:
    """A table where its rows fit into ``width`` characters uncut; otherwise each row as a block with a value a line, empty ones left out.

    Ids and names are there to be copied, so no cell is broken to make a table fit.
    """
    table = Table(*columns)
    for row in rows:
        table.add_row(*map(plain, row))
    console = Console(width=_WIDEST)
    fits = Measurement.get(console, console.options, table).maximum <= width
    return table if fits or not rows else Group(*(_block(columns, row) for row in rows))


def _block(columns: Sequence[str], row: Sequence[str]) -> Table:
    block = Table.grid(padding=(0, 2, 0, 0))
    block.add_column(no_wrap=True, style="bold", min_width=max(map(len, columns)))
    block.add_column(overflow="fold")
    for name, value in zip(columns, row, strict=True):
        if value:
            block.add_row(name, plain(value))
    block.add_row()
    return block
