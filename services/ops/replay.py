"""`recoup replay`: reads quarantined cases and sets them back to pending in Postgres, for the steward to send to the workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.ops.repository import cases, keys
from services.ops.repository.audit import Author
from services.ops.service import replay
from shared.automations import registry
from shared.commands import check_option, no_such_tenant
from shared.db import unit_of_work
from shared.db.command import command_engine
from shared.settings import DatabaseSettings

if TYPE_CHECKING:
    from sqlalchemy import Engine

app = typer.Typer(add_completion=False, help="Send quarantined cases to the workers again.")

# Small enough that a worker which meets one of these rows does not wait for long.
_BATCH = 500


@app.command()
def main(  # options of a command
    tenant: Annotated[str, typer.Option(help="Id of the tenant.")],
    automation: Annotated[str, typer.Option(help="Name of the automation.")],
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000_000, help="At most so many, the longest quarantined first.")] = 10_000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many there are.")] = False,
    check: Annotated[bool, check_option("replay", DatabaseSettings)] = False,  # noqa: ARG001  # done
) -> None:
    """Send quarantined cases to the workers again.

    Attempts start anew and the cases' open reviews are cancelled. Safe to repeat: what is not quarantined any more is left alone.
    """
    if automation not in (known := registry.automations()):
        raise typer.BadParameter(f"no automation {automation!r} is installed; there are: {', '.join(sorted(known))}")
    with command_engine("replay") as engine:
        with unit_of_work(engine) as connection:
            if not keys.tenant_exists(connection, tenant):
                raise no_such_tenant(tenant)
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


if __name__ == "__main__":
    app()
