"""The database as commands for people use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from sqlalchemy import Engine

from shared.db.engine import engine_for
from shared.db.schema import refuse_older_schema
from shared.errors import RecoupError
from shared.settings import DatabaseSettings, load


@contextmanager
def command_engine(command: str) -> Iterator[Engine]:
    """As every tenant's: whoever runs commands on the machine is the operator of the installation. An error of ours is told in one line."""
    engine = engine_for(load(DatabaseSettings), role="recoup_line", application=command)
    try:
        refuse_older_schema(engine)
        yield engine
    except RecoupError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(1) from error
    finally:
        engine.dispose()
