"""`recoup ledger`: hashes a tenant's ledger anew and says what is not as it was sealed; adds its sums up anew and says which differ."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn, track
from sqlalchemy.exc import ProgrammingError

from services.steward.repository import recounting
from shared.commands import check_option, no_such_tenant, told
from shared.db import engine_for, unit_of_work
from shared.db.command import command_engine
from shared.errors import RecoupError
from shared.ledger import tree
from shared.ledger.seals import Seal, written
from shared.ledger.verification import verify as verify_ledger
from shared.settings import DatabaseSettings, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from services.steward.repository.recounting import Different
    from shared.ledger.verification import Verdict

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Verify the sealed ledger and the sums.")


@app.callback()
def main(
    *,
    check: Annotated[bool, check_option("ledger", DatabaseSettings)] = False,  # done
) -> None:
    """Verify the sealed ledger and the sums."""
    del check


@app.command()
def verify(
    tenant: Annotated[str, typer.Option("--tenant", help="Id of the tenant.")],
    kept: Annotated[
        list[Path] | None,
        typer.Option("--seal", exists=True, dir_okay=False, help="A seal that was kept elsewhere (JSON of the API); may be given again."),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Hash a tenant's ledger anew and compare it with every seal; exits with 1 where anything was changed, 2 where asked wrongly.

    Whoever may change everything here can also make up a ledger with seals that agree: a seal kept elsewhere shows it.
    """
    seals = [_read(path) for path in kept or []]
    engine = engine_for(load(DatabaseSettings), role="recoup_line", application="ledger")
    try:
        with unit_of_work(engine, snapshot=True) as connection:
            _require(connection, tenant)
            verdict = _watched(connection, tenant, seals)
    except RecoupError as error:
        typer.echo(told(error), err=True)
        raise typer.Exit(1) from error
    except ProgrammingError as error:
        # A table, or a column of it, is not there any more.
        typer.echo(f"{tenant}: the ledger cannot be read: {str(error.orig).splitlines()[0]}", err=True)
        raise typer.Exit(1) from error
    finally:
        engine.dispose()
    typer.echo(_json(verdict) if as_json else _text(verdict))
    if verdict.counts:
        raise typer.Exit(1)


@app.command()
def recount(
    tenant: Annotated[str, typer.Option("--tenant", help="Id of the tenant.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Add a tenant's sums up anew from decisions, second looks and ledger lines; exits with 1 where any differs, 2 where asked wrongly.

    Figures are computed from sums. That the lines are as they were sealed is what `verify` says.
    """
    with command_engine("ledger") as engine, unit_of_work(engine, snapshot=True) as connection:
        _require(connection, tenant)
        found = recounting.recount(
            connection, tenant, lambda parts: track(parts, f"adding up {tenant}", console=Console(stderr=True), transient=True)
        )
    if as_json:
        shown = [row._asdict() for row in found.shown]
        typer.echo(orjson.dumps({"tenant_id": tenant, "rows": found.rows, "different": found.different, "shown": shown}).decode())
    else:
        typer.echo("\n".join([f"{tenant}: {found.rows} rows of sums", *(_difference(row) for row in found.shown)]))
        typer.echo(f"NOT WHAT WAS BOOKED: {found.different} rows" if found.different else "every sum is what was booked")
    if found.different:
        raise typer.Exit(1)


def _require(connection: Connection, tenant: str) -> None:
    if not recounting.tenant_exists(connection, tenant):
        raise no_such_tenant(tenant)


def _difference(row: Different) -> str:
    return f"  {row.table} {row.key}: {row.kept} is kept, {row.counted} was to be expected"


def _watched(connection: Connection, tenant: str, kept: Sequence[Seal]) -> Verdict:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        (total,) = [head.size for head in tree.heads(connection, [tenant]) if head.tenant_id == tenant]
        task = bar.add_task(f"hashing {tenant}", total=total)
        return verify_ledger(connection, tenant, kept, lambda done: bar.advance(task, done))


def _read(path: Path) -> Seal:
    """Raises BadParameter where the file holds no seal, or one that was changed."""
    try:
        values = orjson.loads(path.read_bytes())
        seal = Seal(
            tenant_id=values["tenant_id"],
            n=values["n"],
            size=values["size"],
            root=bytes.fromhex(values["root"]),
            previous=None if values["previous"] is None else bytes.fromhex(values["previous"]),
            horizon=values["horizon"],
            sealed_at=datetime.fromisoformat(values["sealed_at"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise typer.BadParameter(f"{path} is no seal as /v1/roi/ledger/seals answers it") from error
    if seal.hash().hex() != values.get("hash"):
        raise typer.BadParameter(f"{path} does not have the hash that it states")
    return seal


def _text(verdict: Verdict) -> str:
    lines = [f"{verdict.tenant_id}: {verdict.leaves} entries, {verdict.seals} seals, {verdict.waiting} waiting for the next seal"]
    if verdict.newest is not None:
        lines.append(f"newest seal: {verdict.newest.n} of {written(verdict.newest.sealed_at)}, hash {verdict.newest.hash().hex()}")
    lines += [f"  {finding.code}: {finding.what}" for finding in verdict.findings]
    found = verdict.counts.total()
    if found > len(verdict.findings):
        lines.append(f"  … and {found - len(verdict.findings)} more")
    lines.append(f"NOT AS SEALED: {found} findings" if found else "everything is as it was sealed")
    return "\n".join(lines)


def _json(verdict: Verdict) -> str:
    newest = verdict.newest
    return orjson.dumps(
        {
            "tenant_id": verdict.tenant_id,
            "entries": verdict.leaves,
            "seals": verdict.seals,
            "waiting": verdict.waiting,
            "newest": None if newest is None else {"n": newest.n, "sealed_at": written(newest.sealed_at), "hash": newest.hash().hex()},
            "findings": [{"code": finding.code, "what": finding.what} for finding in verdict.findings],
            "counts": verdict.counts,
            "as_sealed": not verdict.counts,
        }
    ).decode()


if __name__ == "__main__":
    app()
