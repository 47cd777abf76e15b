"""Prices of CPU time, remembered for a minute: a price changes rarely, and every batch needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from services.worker import repository

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from shared.clock import Clock
    from shared.money import Money

FRESH_SECONDS: Final = 60.0


class Rates:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, Money] = {}
        self._asked: dict[str, float] = {}

    def refresh(self, connection: Connection, tenants: set[str]) -> None:
        """Ask again for tenants that were not asked about within the last minute."""
        now = self._clock.monotonic()
        stale = {tenant for tenant in tenants if now - self._asked.get(tenant, -FRESH_SECONDS) >= FRESH_SECONDS}
        if not stale:
            return
        found = repository.cpu_hour_rates(connection, stale)
        self._known = {tenant: rate for tenant, rate in self._known.items() if tenant not in stale} | found
        self._asked |= dict.fromkeys(stale, now)

    def cpu_hours(self) -> Mapping[str, Money]:
        """By tenant; absent where no price is known."""
        return self._known
