"""What each process does before its work: wait for the database, and refuse one that it may not work on."""

from __future__ import annotations

from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING, Final

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError

from shared.clock import SystemClock
from shared.db.safety import refuse_unsafe_database
from shared.db.schema import OutdatedSchema, refuse_older_schema
from shared.db.unit_of_work import DatabaseUnavailable
from shared.errors import InvariantBroken

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from shared.errors import RecoupError

log = structlog.get_logger()

# As long as a first migration may take beside the processes, and shorter than a startup probe of ours (two minutes).
PATIENCE: Final = timedelta(minutes=1)
_PAUSE_SECONDS = 1.0


def await_database(engine: Engine, stopped: Event | None = None, *, patience: timedelta = PATIENCE) -> bool:
    """Wait, without end, until the database answers, and for ``patience`` until its schema is not older than this code.

    Args:
        stopped: set where the process is told to end.

    Returns:
        False where ``stopped`` came first.

    Raises:
        SystemExit: with status 1 where the database is unsafe, or its schema stays too old; the log says what to do.
    """
    stopped = stopped or Event()
    deadline: float | None = None
    while not stopped.is_set():
        try:
            refuse_unsafe_database(engine)
            refuse_older_schema(engine)
        except (OperationalError, InterfaceError, DatabaseUnavailable):
            log.warning("database_unreachable")
        except InvariantBroken as error:
            raise _refused(error) from None
        except OutdatedSchema as error:
            deadline = _still_waiting(error, deadline, patience)
        else:
            return True
        stopped.wait(_PAUSE_SECONDS)
    return False


def _still_waiting(error: OutdatedSchema, deadline: float | None, patience: timedelta) -> float:
    """The deadline; begins with the first look at a schema that is too old."""
    now = SystemClock().monotonic()
    if deadline is None:
        log.warning("schema_outdated", reason=error.message, **error.context)
        return now + patience.total_seconds()
    if now >= deadline:
        raise _refused(error)
    return deadline


def _refused(error: RecoupError) -> SystemExit:
    log.critical("database_refused", code=error.code, reason=error.message)
    return SystemExit(1)
