"""Plain psycopg sessions for tests that look at the database from below the product's own layer."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from sqlalchemy import make_url

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def connected(url: str, role: str | None = None) -> Iterator[psycopg.Connection]:
    """An autocommitting session of a SQLAlchemy URL, acting as ``role``."""
    dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(dsn, autocommit=True) as connection:
        if role is not None:
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        yield connection
