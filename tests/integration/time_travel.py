"""A database whose clock the test sets: what is booked then is booked at that moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from tests.conftest import Database

_MOMENTS = {
    "audit_findings": "created_at",
    "audits": "created_at",
    "decisions": "booked_at",
    "intake_batches": "booked_at",
    "ledger_lines": "booked_at",
    "baselines": "created_at",
    "rates": "created_at",
}


@dataclass(slots=True)
class SetClock:
    """The processes' clock."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()


def set_database_clock(database: Database, moment: datetime) -> None:
    """From now on facts are booked at this moment, as if the database's clock showed it."""
    with psycopg.connect(database.admin_url.replace("+psycopg", ""), autocommit=True) as connection:
        for table, column in _MOMENTS.items():
            connection.execute(
                sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}").format(
                    sql.Identifier(table), sql.Identifier(column), sql.Literal(moment)
                )
            )
