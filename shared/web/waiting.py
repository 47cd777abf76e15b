"""Answers on an API's port before the API itself can: alive, not ready, and to whatever else is asked that it may be asked later."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared.db.unit_of_work import DatabaseUnavailable
from shared.web import problem
from shared.web.health import serve

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def waiting_for_database(host: str, port: int) -> Iterator[None]:
    """Until the block ends; then the port is free.

    A process that says nothing while its database is away is ended by whoever started it, and begun again with ever longer pauses.
    """
    later = problem.of(DatabaseUnavailable())
    answer = (later.status_code, later.headers, bytes(later.body))
    # The API begins when this has ended, so that must take no time.
    server = serve(host, port, lambda: {"database": False}, elsewhere=answer, end_seconds=0.02)
    try:
        yield
    finally:
        server.close()
