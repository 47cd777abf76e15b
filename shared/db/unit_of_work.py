"""One request or message is one transaction, opened and committed here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.errors import Retryable


class DatabaseUnavailable(Retryable):
    """The database cannot be reached right now."""

    code = "database_unavailable"


@contextmanager
def unit_of_work(engine: Engine, *, tenant: str | None = None, snapshot: bool = False) -> Iterator[Connection]:
    """A transaction: committed when the block ends, rolled back when it raises.

    Args:
        tenant: what row-level security lets the role ``recoup_api`` see; None shows it nothing.
        snapshot: all statements see one moment (REPEATABLE READ), for figures that must add up.

    Raises:
        DatabaseUnavailable: no connection, or it was lost. After a lost COMMIT the outcome is unknown: read it again by id.
    """
    try:
        with engine.connect() as connection:
            if snapshot:
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                if tenant is not None:
                    connection.execute(text("SELECT set_config('app.tenant', :tenant, true)"), {"tenant": tenant})
                yield connection
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise DatabaseUnavailable(cause=type(error).__name__) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseUnavailable(cause=type(error).__name__) from error
        raise
