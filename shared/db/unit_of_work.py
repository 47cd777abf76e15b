"""One request or message is one transaction, opened and committed here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.errors import Retryable
from shared.telemetry import metrics

_SET = text("SELECT set_config(name, value, true) FROM unnest(CAST(:names AS text[]), CAST(:values AS text[])) AS given (name, value)")


class DatabaseUnavailable(Retryable):
    """The database cannot be reached right now."""

    code = "database_unavailable"


@contextmanager
def unit_of_work(
    engine: Engine, *, tenant: str | None = None, snapshot: bool = False, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Connection]:
    """A transaction: committed when the block ends, rolled back when it raises.

    Args:
        tenant: what row-level security lets the role ``recoup_api`` see; None shows it nothing.
        snapshot: all statements see one moment (REPEATABLE READ), for figures that must add up.
        settings: of the database, by name, for this transaction alone.

    Raises:
        DatabaseUnavailable: no connection, or it was lost. After a lost COMMIT the outcome is unknown: read it again by id.
    """
    try:
        with engine.connect() as connection:
            if snapshot:
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                given = dict(settings) if tenant is None else {"app.tenant": tenant, **settings}
                if given:
                    connection.execute(_SET, {"names": list(given), "values": list(given.values())})
                yield connection
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise _unavailable(error) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise _unavailable(error) from error
        raise


def _unavailable(error: DBAPIError | PoolTimeout) -> DatabaseUnavailable:
    if isinstance(error, PoolTimeout):
        why = "pool"
    else:
        # A connect that failed has no statement and invalidates nothing.
        why = "connection" if error.connection_invalidated or error.statement is None else "statement"
    metrics.database_unavailable.labels(why).inc()
    return DatabaseUnavailable(cause=type(error).__name__)
