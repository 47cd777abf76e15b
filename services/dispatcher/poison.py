"""`recoup poison`: reads poison records from Postgres; writes the cases that they are after all, and that somebody has dealt with them.

Records that name no tenant, or one that does not exist, belong to nobody: no key of a tenant shows them, so whoever runs the installation
does this on the machine.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import orjson
import structlog
import typer

from services.dispatcher import replay, repository
from services.dispatcher.repository import Which
from shared.clock import SystemClock
from shared.commands import check_option, no_such_tenant, print_rows
from shared.db import unit_of_work
from shared.db.command import command_engine
from shared.settings import DatabaseSettings, EventSettings, load
from shared.telemetry import logs

if TYPE_CHECKING:
    from sqlalchemy import Connection

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Records that could not be read: count, show, replay, discard.")
log = structlog.get_logger()

Ids = Annotated[list[UUID] | None, typer.Argument(help="Ids of records.")]
Error = Annotated[str, typer.Option("--error", help="Only those whose error begins so, as in the summary.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="At most so many, the oldest first.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Whose = Annotated[str | None, typer.Option("--tenant", help="Those of this tenant; left out: those of nobody.")]


@app.callback()
def main(
    *,
    check: Annotated[bool, check_option("poison", DatabaseSettings)] = False,  # done
) -> None:
    """Records that could not be read: count, show, replay, discard."""
    del check
    logs.configure("poison", "info")


@app.command()
def summary(*, as_json: AsJson = False) -> None:
    """How many wait for somebody, by tenant and error; of nobody first."""
    with command_engine("poison") as engine, unit_of_work(engine) as connection:
        found = repository.poison_summary(connection)
    if as_json:
        typer.echo(orjson.dumps([group._asdict() for group in found]).decode())
        return
    print_rows(
        ("tenant", "records", "since", "until", "error"),
        [(one.tenant or "(nobody)", str(one.records), _moment(one.since), _moment(one.until), one.error) for one in found],
    )


@app.command("list")
def listing(tenant: Whose = None, error: Error = "", limit: Limit = 50, *, as_json: AsJson = False) -> None:
    """Records that nobody has dealt with yet, the oldest first."""
    with command_engine("poison") as engine, unit_of_work(engine) as connection:
        if tenant is not None:
            _require(connection, tenant)
        found = repository.waiting_poison(connection, Which(tenant=tenant, nobody=tenant is None, error=error), limit)
    if as_json:
        typer.echo(orjson.dumps([one._asdict() for one in found]).decode())
        return
    print_rows(
        ("id", "received", "place", "bytes", "error"),
        [(str(one.id), _moment(one.received_at), one.place, str(one.size), one.error) for one in found],
    )


@app.command()
def show(
    record: Annotated[UUID, typer.Argument(help="Id of the record.")],
    *,
    headers: Annotated[bool, typer.Option("--headers", help="Its headers instead, as JSON.")] = False,
) -> None:
    """Write the bytes of one record to the standard output, as they came."""
    with command_engine("poison") as engine, unit_of_work(engine) as connection:
        found = repository.poison_content(connection, record)
    sys.stdout.buffer.write(orjson.dumps(found.headers, option=orjson.OPT_APPEND_NEWLINE) if headers else found.raw)


@app.command("replay")
def replay_some(
    tenant: Annotated[str, typer.Option("--tenant", help="Whose they are: records of nobody become this tenant's.")],
    records: Ids = None,
    error: Error = "",
    limit: Limit = 1000,
) -> None:
    """Read records again, as if they arrived now. What can be read is dealt with; what cannot stays, and the command exits with 1.

    Without ids and --error: the tenant's own, and those that named it before it was created. With one of them: also others of nobody.
    """
    ahead = load(EventSettings).time_ahead
    with command_engine("poison") as engine:
        with unit_of_work(engine) as connection:
            _require(connection, tenant)
            found = repository.waiting_poison(
                connection, Which(tenant=tenant, nobody=bool(records or error), error=error, ids=records), limit
            )
        results = Counter(replay.replay(engine, one.id, tenant, SystemClock().now(), ahead) for one in found)
    for result, count in sorted(results.items()):
        typer.echo(f"{count} {result}")
    typer.echo(f"{len(found)} records read again")
    if any(result not in replay.DEALT_WITH for result in results):
        raise typer.Exit(1)


@app.command()
def discard(
    note: Annotated[str, typer.Option("--note", help="Why; it is kept in the tenant's audit log, or in the log of this command.")],
    records: Ids = None,
    tenant: Whose = None,
    error: Error = "",
    limit: Limit = 1000,
) -> None:
    """Note that records have been dealt with: those with these ids, or with this error. Their bytes stay."""
    if not records and not error:
        raise typer.BadParameter("name the records, or --error")
    with command_engine("poison") as engine, unit_of_work(engine) as connection:
        if tenant is not None:
            _require(connection, tenant)
        found = repository.waiting_poison(connection, Which(tenant=tenant, nobody=tenant is None, error=error, ids=records), limit)
        done = [one.id for one in found if repository.resolve_poison(connection, one.id, tenant, "dead_letter.resolved", {"note": note})]
    log.info("poison_discarded", records=[str(record) for record in done], tenant=tenant, note=note)
    typer.echo(f"{len(done)} records discarded")


def _require(connection: Connection, tenant: str) -> None:
    if not repository.tenant_exists(connection, tenant):
        raise no_such_tenant(tenant)


def _moment(moment: object) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


if __name__ == "__main__":
    app()
