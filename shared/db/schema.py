"""No process works on a schema that is older than its code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from shared.db.unit_of_work import unit_of_work
from shared.errors import Retryable
from shared.release import SCHEMA

if TYPE_CHECKING:
    from sqlalchemy import Engine

# undefined_table: nothing was ever migrated; insufficient_privilege: last by a version that let nobody look.
_NOT_TO_BE_SEEN = {"42P01", "42501"}


class OutdatedSchema(Retryable):
    """The schema of the database is older than this version of Recoup."""

    code = "outdated_schema"


def schema_revision(engine: Engine) -> str | None:
    """Of the database: four digits, more than of any revision before; None where it has none, or was migrated before one could look.

    Raises:
        DatabaseUnavailable: it does not answer.
    """
    try:
        with unit_of_work(engine) as connection:
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) in _NOT_TO_BE_SEEN:
            return None
        raise


def refuse_older_schema(engine: Engine) -> None:
    """A newer one is accepted: it is applied before its code is started, and older code runs beside it meanwhile.

    Raises:
        DatabaseUnavailable: the database does not answer.
        OutdatedSchema: it lacks what this version reads or writes.
    """
    found = schema_revision(engine)
    if found is None or found < SCHEMA:
        raise OutdatedSchema(
            f"the schema of the database is at {found or 'no revision that can be seen'}, and this version of Recoup needs {SCHEMA}:"
            " run `recoup migrate` of this version",
            found=found,
            needed=SCHEMA,
        )
