"""No process starts on a database that would break its promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from shared.errors import InvariantBroken

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")


class UnsafeDatabase(InvariantBroken):
    """This database role or server would break isolation between tenants or lose committed data."""

    code = "unsafe_database"


def refuse_unsafe_database(engine: Engine) -> None:
    """Check the login role, the acting role and the durability settings.

    Raises:
        UnsafeDatabase: a role that this login has or may take on is superuser, bypasses row-level security or owns a table, or the
            server may forget a commit.
    """
    with engine.connect() as connection:
        for role in _unsafe_roles(connection):
            raise UnsafeDatabase(
                f"role {role!r}, which this login is or may become, is superuser, has BYPASSRLS or owns tables;"
                " connect as recoup_app (`recoup migrate` creates it)",
                role=role,
            )
        for setting in _DURABLE:
            value = connection.execute(text(f"SHOW {setting}")).scalar_one()
            if value in {"off", "local"}:
                raise UnsafeDatabase(f"{setting} is {value!r}: a committed decision could be lost; set it to on", setting=setting)


def _unsafe_roles(connection: Connection) -> list[str]:
    rows = connection.execute(
        text(
            # Also the roles that this one may take on: an administrator's login could become the owner.
            "SELECT r.rolname FROM pg_roles r WHERE pg_has_role(session_user, r.oid, 'MEMBER')"
            " AND (r.rolsuper OR r.rolbypassrls OR EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relowner = r.oid AND n.nspname = 'public'))"
            " ORDER BY r.rolname <> session_user, r.rolname"
        )
    )
    return list(rows.scalars())
