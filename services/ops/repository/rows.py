"""Runs a statement and gives its rows as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from psycopg.errors import UniqueViolation
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError

from shared.errors import Conflict, NotFound

if TYPE_CHECKING:
    from sqlalchemy import Connection, RowMapping

    from shared.web.pagination import Cursor

Value = TypeVar("Value", bound=BaseModel)


def rows(connection: Connection, statement: str, values: Mapping[str, Any]) -> Sequence[RowMapping]:
    """Raises Conflict where somebody else has stored the same thing in this moment."""
    try:
        return connection.exec_driver_sql(statement, dict(values)).mappings().all()
    except IntegrityError as error:
        if isinstance(error.orig, UniqueViolation):
            raise Conflict("Somebody else has just stored the same; look at it and try again.") from error
        raise


def many(model: type[Value], connection: Connection, statement: str, values: Mapping[str, Any]) -> list[Value]:
    return [model.model_validate(dict(row)) for row in rows(connection, statement, values)]


def maybe(model: type[Value], connection: Connection, statement: str, values: Mapping[str, Any]) -> Value | None:
    found = many(model, connection, statement, values)
    return found[0] if found else None


def one(model: type[Value], connection: Connection, statement: str, values: Mapping[str, Any]) -> Value:
    """Raises NotFound where the statement gives no row: it does not exist, or row-level security hides it."""
    found = maybe(model, connection, statement, values)
    if found is None:
        raise NotFound
    return found


def changed(connection: Connection, statement: str, values: Mapping[str, Any]) -> int:
    """How many rows the statement touched."""
    return connection.exec_driver_sql(statement, dict(values)).rowcount


def place(cursor: Cursor | None) -> dict[str, object]:
    """Where a page begins, as parameters ``at`` and ``last``."""
    return {"at": cursor.at if cursor else None, "last": cursor.id if cursor else None}
