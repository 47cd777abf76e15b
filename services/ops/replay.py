"""`recoup replay`: reads quarantined cases and sets them back to pending in Postgres, for the steward to send to the workers."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.ops.repository import cases
from services.ops.repository.audit import Author
from services.ops.service import replay
from shared.automations import registry
from shared.db import engine_for, unit_of_work
from shared.errors import RecoupError
from shared.settings import DatabaseSettings, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

app = typer.Typer(add_completion=False, help="Send quarantined cases to the workers again.")

# Small enough that a worker which meets one of these rows does not wait for long.
_BATCH = 500


def _check(value: bool) -> None:  # noqa: FBT001  # the signature of an option's callback
    if value:
        load(DatabaseSettings)
        typer.echo("The settings of replay are valid.")
        raise typer.Exit


@app.command()
def main(  # options of a command
    tenant: Annotated[str, typer.Option(help="Id of the tenant.")],
    automation: Annotated[str, typer.Option(help="Name of the automation.")],
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000_000, help="At most so many, the longest quarantined first.")] = 10_000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many there are.")] = False,
    check: Annotated[bool, typer.Option("--check", callback=_check, is_eager=True, help="Validate the settings and exit.")] = False,  # noqa: ARG001  # done
) -> None:
    """Attempts start anew and the cases' open reviews are cancelled. Safe to repeat: what is not quarantined any more is left alone."""
    with _engine() as engine:
        registry.automation(automation)
        with unit_of_work(engine) as connection:
            waiting = min(limit, cases.count_quarantined(connection, tenant, automation))
        if dry_run:
            typer.echo(f"{waiting} quarantined cases of {automation} would be sent again")
            return
        typer.echo(f"{_all(engine, Author(tenant, command='recoup replay'), automation, waiting)} cases sent again")


def _all(engine: Engine, author: Author, automation: str, wanted: int) -> int:
    done = 0
    console = Console(stderr=True)
    with Progress(TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("replaying", total=wanted)
        while done < wanted:
            with unit_of_work(engine) as connection:
                count = replay.bulk(connection, author, automation, min(_BATCH, wanted - done)).count
            done += count
            progress.update(task, completed=done)
            if count == 0:
                break
    return done


@contextmanager
def _engine() -> Iterator[Engine]:
    engine = engine_for(load(DatabaseSettings), role="recoup_line", application="replay")
    try:
        yield engine
    except RecoupError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(1) from error
    finally:
        engine.dispose()


if __name__ == "__main__":
    app()
