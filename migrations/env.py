"""Run by alembic; the connection comes from `migrations.run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import context
from sqlalchemy.dialects.postgresql.base import ischema_names

from shared.models import metadata
from shared.models.base import TransactionId

if TYPE_CHECKING:
    from sqlalchemy import Connection


# Reflection does not know the type yet.
ischema_names["xid8"] = TransactionId


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Partitions come and go by month; they are no drift."""
    return not (kind == "table" and (name or "").startswith("payloads_"))


def run(connection: Connection) -> None:
    # A migration that cannot get its lock gives up instead of queueing everybody else behind it.
    connection.exec_driver_sql("SET lock_timeout = '5s'")
    connection.exec_driver_sql("SET ROLE recoup_owner")
    # Both are the session's; in one transaction with all migrations, each would hold its locks until the last of them has ended.
    connection.commit()
    context.configure(
        connection=connection, target_metadata=metadata, compare_type=True, include_name=_is_ours, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
