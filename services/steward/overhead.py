"""Books the workers' CPU time that stands on no case, so that the ledger's compute is what the workers spent: start-up and idling too."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from services.steward.repository import overhead
from shared.db import unit_of_work
from shared.ledger import posting, rates
from shared.ledger import repository as ledger

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from services.steward.repository.overhead import Spent

log = structlog.get_logger()

Key = TypeVar("Key")
# After so long it is given up to wait for work that the overhead could be shared by, or for a clock to make sense.
LONGEST: Final = timedelta(days=1)


def shared_out(total: int, weights: Mapping[Key, int]) -> dict[Key, int]:
    """Whole parts of ``total`` in proportion to positive weights, which add up to it exactly."""
    whole = sum(weights.values())
    parts, done, given = {}, 0, 0
    for key, weight in weights.items():
        done += weight
        parts[key] = total * done // whole - given
        given += parts[key]
    return parts


def book_overhead(engine: Engine, period: timedelta) -> int:
    """One line for each tenant and automation that something was metered on, once per period; returns how many were booked.

    What the processes spent and nobody has used yet waits for the first case: start-up of a new installation, for instance.
    """
    with unit_of_work(engine) as connection:
        spent = overhead.lock(connection)
        if spent is None or spent.waited < period:
            return 0
        weights = {key: ns for key, ns in spent.metered.items() if ns > 0}
        rest = spent.total - sum(spent.metered.values())
        if not weights or rest <= 0:
            # Reports lag behind the cases a little: a period later they have caught up.
            if spent.waited > LONGEST and rest <= 0:
                overhead.advance(connection, spent.upper)
            return 0
        lines = _lines(connection, spent, shared_out(rest, weights))
        ledger.post(connection, lines)
        overhead.advance(connection, spent.upper)
    log.info("overhead_booked", cpu_seconds=round(rest / 1e9, 3), of=round(spent.total / 1e9, 3), lines=len(lines))
    return len(lines)


def _lines(connection: Connection, spent: Spent, parts: Mapping[tuple[str, str], int]) -> list[posting.Line]:
    prices = {tenant: rates.price(connection, tenant, rates.CPU_HOUR, at=spent.at) for tenant in {tenant for tenant, _ in parts}}
    return [
        posting.for_overhead(tenant, automation, cpu_ns, prices[tenant], at=spent.at)
        for (tenant, automation), cpu_ns in parts.items()
        if cpu_ns
    ]
