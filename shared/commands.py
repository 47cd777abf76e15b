"""What commands for people have in common."""

from __future__ import annotations

from typing import Any

import typer
from pydantic_settings import BaseSettings

from shared.settings import load


def check_option(command: str, settings: type[BaseSettings]) -> Any:
    """The option ``--check``: a command reads its settings, says that they are valid, and ends before anything else is done."""

    def check(value: bool) -> None:  # noqa: FBT001  # the signature of an option's callback
        if value:
            load(settings)
            typer.echo(f"The settings of {command} are valid.")
            raise typer.Exit

    return typer.Option("--check", callback=check, is_eager=True, help="Validate the settings and exit.")
