"""One courier of several, by a lock that the database frees when the connection ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.courier import repository
from shared.db.unit_of_work import DatabaseUnavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


class Leadership:
    """Keeps one connection, outside any transaction, while it is held."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    def is_held(self) -> bool:
        """Take the lock if it is free, or see that it is still ours.

        Raises:
            DatabaseUnavailable: it cannot be known; the lock is given up.
        """
        try:
            if self._connection is not None:
                return repository.is_alive(self._connection)
            return self._take()
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            self.resign()
            raise DatabaseUnavailable(detail=type(error).__name__) from error

    def resign(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # Back in the pool it would still hold the lock.
            connection.invalidate()
            connection.close()

    def _take(self) -> bool:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        if repository.lead(connection):
            self._connection = connection
            return True
        connection.close()
        return False
