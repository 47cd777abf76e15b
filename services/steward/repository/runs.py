"""The diary of periodic jobs, which is also how two stewards agree who runs a slot."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from sqlalchemy import Connection


def claim(connection: Connection, job: str, slot: datetime, run_by: str) -> bool:
    """True for exactly one caller per job and slot."""
    claimed = connection.exec_driver_sql(
        "INSERT INTO job_runs (job, slot, run_by, started_at) VALUES (%(job)s, %(slot)s, %(run_by)s, now()) ON CONFLICT DO NOTHING",
        {"job": job, "slot": slot, "run_by": run_by},
    )
    return claimed.rowcount == 1


def finish(connection: Connection, job: str, slot: datetime, *, touched: int | None, error: str | None) -> None:
    connection.exec_driver_sql(
        "UPDATE job_runs SET finished_at = now(), touched = %(touched)s, error = %(error)s WHERE job = %(job)s AND slot = %(slot)s",
        {"job": job, "slot": slot, "touched": touched, "error": error},
    )


def prune(connection: Connection, keep: timedelta) -> int:
    """Forget old runs; the last one of each job stays, however old it is."""
    pruned = connection.exec_driver_sql(
        "DELETE FROM job_runs r WHERE r.slot < now() - %(keep)s::interval"
        " AND EXISTS (SELECT FROM job_runs later WHERE later.job = r.job AND later.slot > r.slot)",
        {"keep": keep},
    )
    return pruned.rowcount
