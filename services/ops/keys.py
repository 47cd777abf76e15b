"""`recoup keys`: reads and writes tenants, API keys and their audit rows in Postgres; prints a token once and stores it nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import orjson
import typer
from pydantic import ValidationError

from services.ops.repository import keys as stored
from services.ops.repository.audit import Author
from services.ops.schemas.configuration import NewKey
from services.ops.service import keys
from shared import money
from shared.clock import SystemClock
from shared.commands import check_option, print_rows
from shared.db import unit_of_work
from shared.db.command import command_engine
from shared.security.apikeys import Role
from shared.security.vault import new_vault_key
from shared.settings import DatabaseSettings

if TYPE_CHECKING:
    from sqlalchemy import Connection

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Tenants, API keys and the vault's key.")
tenants = typer.Typer(add_completion=False, no_args_is_help=True, help="Create and list tenants.")
app.add_typer(tenants, name="tenant")

_COMMAND = "recoup keys"
# As the table's own constraint, whose message is not for people.
_TENANT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
# As names over the API: they stand on pages and in lists.
_LINE = re.compile("[^\x00-\x1f\x7f]{1,200}")
_MOMENTS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S")


@app.callback()
def settings(
    *,
    check: Annotated[bool, check_option("keys", DatabaseSettings)] = False,  # done
) -> None:
    """Tenants, API keys and the vault's key."""


Tenant = Annotated[str, typer.Option("--tenant", help="Id of the tenant.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


@tenants.command("create")
def create_tenant(  # options of a command
    tenant: Annotated[str, typer.Argument(metavar="ID", help="Lower-case letters, digits and hyphens.")],
    *,
    name: Annotated[str, typer.Option(help="For people; the id where it is left out.")] = "",
    currency: Annotated[str, typer.Option(help="Three letters, as EUR.")] = "EUR",
    simulated: Annotated[bool, typer.Option("--simulated", help="Its people are simulated; figures of savings say so.")] = False,
    time_scale: Annotated[float, typer.Option(min=0.001, max=1_000_000, help="How much faster a simulated tenant's clocks run.")] = 1.0,
) -> None:
    """Create a tenant with default rates; one that exists stays as it is."""
    if not _TENANT_ID.fullmatch(tenant):
        raise typer.BadParameter("an id has lower-case letters, digits and hyphens only")
    try:
        money.currency(currency)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if name and not _LINE.fullmatch(name):
        raise typer.BadParameter("a name is one line of at most 200 characters")
    if time_scale != 1 and not simulated:
        raise typer.BadParameter("only a --simulated tenant may scale time")
    scale = Decimal(str(time_scale)) if simulated else None
    with _transaction() as connection:
        new = keys.create_tenant(connection, _author(tenant), name or tenant, currency, time_scale=scale, now=SystemClock().now())
    typer.echo(f"tenant {tenant} {'created' if new else 'exists already; nothing changed'}")


@tenants.command("list")
def list_tenants(*, as_json: Json = False) -> None:
    """Every tenant of this installation."""
    with _transaction() as connection:
        found = [dict(row) for row in stored.tenants(connection)]
    if as_json:
        _print_json(found)
        return
    print_rows(
        ("id", "name", "currency", "simulated", "time scale"),
        [(row["id"], row["name"], row["currency"], "yes" if row["simulated"] else "", f"{row['time_scale']:f}") for row in found],
    )


@app.command("create")
def create(
    tenant: Tenant,
    role: Annotated[list[Role], typer.Option("--role", help="May be given several times.")],
    name: Annotated[str, typer.Option(help="Whose key it is.")],
    *,
    expires: Annotated[datetime | None, typer.Option(formats=list(_MOMENTS), help="From when on it is refused, UTC.")] = None,
    as_json: Json = False,
) -> None:
    """Create a key and print its token, once."""
    now = SystemClock().now()
    until = None if expires is None else expires.replace(tzinfo=UTC)
    if until is not None and until <= now:
        raise typer.BadParameter(f"a key that expires on {_moment(until)} (UTC) would be refused from the beginning")
    with _transaction() as connection:
        _require(connection, tenant)
        key = keys.create(connection, _author(tenant), NewKey(name=name, roles=tuple(role), expires_at=until), now)
    if as_json:
        _print_json(key.model_dump(mode="json"))
        return
    typer.echo(key.token)
    typer.echo("Keep it now: it is stored nowhere.", err=True)


@app.command("list")
def listing(tenant: Tenant, *, as_json: Json = False) -> None:
    """Keys of a tenant, without their secrets; times are UTC."""
    with _transaction() as connection:
        _require(connection, tenant)
        found = stored.listed(connection, tenant)
    if as_json:
        _print_json([key.model_dump(mode="json") for key in found])
        return
    print_rows(
        ("id", "name", "prefix", "roles", "last used", "expires", "revoked"),
        [
            (
                *(str(key.id), key.name, f"rk_{key.prefix}", ", ".join(key.roles)),
                *map(_moment, (key.last_used_at, key.expires_at, key.revoked_at)),
            )
            for key in found
        ],
    )


@app.command("revoke")
def revoke(key: Annotated[UUID, typer.Argument(help="Id of the key, from `list`.")], tenant: Tenant) -> None:
    """Make a key useless within five seconds."""
    with _transaction() as connection:
        _require(connection, tenant)
        revoked = keys.revoke(connection, _author(tenant), key, SystemClock().now())
    typer.echo(f"key {revoked.name} (rk_{revoked.prefix}) revoked")


@app.command("secret")
def secret() -> None:
    """Print a new key for RECOUP_SECRET_KEY; put it in front of the old ones, separated by a comma."""
    typer.echo(new_vault_key())


@contextmanager
def _transaction() -> Iterator[Connection]:
    with command_engine("keys") as engine:
        try:
            with unit_of_work(engine) as connection:
                yield connection
        except ValidationError as error:
            raise typer.BadParameter("; ".join(problem["msg"] for problem in error.errors())) from error


def _require(connection: Connection, tenant: str) -> None:
    if not stored.tenant_exists(connection, tenant):
        raise typer.BadParameter(f"there is no tenant {tenant!r}; `recoup keys tenant create {tenant}` makes it")


def _author(tenant: str) -> Author:
    return Author(tenant, command=_COMMAND)


def _moment(at: object) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"


def _print_json(value: object) -> None:
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode())


if __name__ == "__main__":
    app()
