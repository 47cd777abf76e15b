"""The oldest running transaction of the server, below which the steward works; tests share a server, and so each other's transactions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from services.steward import service
from shared.db import unit_of_work

if TYPE_CHECKING:
    from sqlalchemy import Engine


def settle(engine: Engine) -> None:
    """Wait until everything that is committed lies below every running transaction: other tests' on the same server count as well."""
    with unit_of_work(engine) as connection:
        ours = connection.exec_driver_sql("SELECT pg_current_xact_id()::text").scalar_one()
    for _ in range(600):
        with unit_of_work(engine) as connection:
            if connection.exec_driver_sql("SELECT pg_snapshot_xmin(pg_current_snapshot()) > %(x)s::xid8", {"x": ours}).scalar_one():
                return
        time.sleep(0.05)
    raise TimeoutError("a transaction somewhere on this server does not end")


def roll_up(engine: Engine) -> int:
    """Roll up everything that is committed, and what stands beside it; returns how many rows of the roll-ups changed."""
    settle(engine)
    service.gather_evidence(engine)
    return service.roll_up(engine)
