"""The inbox itself as the log: an append returns after the commit."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import DBAPIError

from shared.db import unit_of_work
from shared.errors import Rejected, Retryable
from shared.eventlog.grouping import Append, Grouping, Limits
from shared.intake.announcer import Announcer
from shared.intake.record import Receipt
from shared.intake.repository import store
from shared.taskqueue.orders import Order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from shared.intake.record import Incoming
    from shared.taskqueue.orders import Orders

log = structlog.get_logger()

# Transactions at a time: one collects while the other one commits.
WRITERS = 2
CHECK_SECONDS = 1.0
CLOSE_SECONDS = 10.0


class DirectLog:
    """Groups concurrent appends of a tenant into one transaction.

    Args:
        engine: of role ``recoup_api`` or ``recoup_line``, with at least two connections.
        orders: where new cases are announced, after the commit and as far as possible.
    """

    def __init__(self, engine: Engine, orders: Orders, limits: Limits | None = None) -> None:
        self._engine = engine
        self._orders = orders
        self._limits = limits or Limits()
        self._available = False

    async def start(self) -> None:
        self._threads = ThreadPoolExecutor(WRITERS + 1, thread_name_prefix="inbox")
        self._announcer = Announcer(self._orders)
        self._grouping = Grouping(self._write, limits=self._limits, trips=WRITERS)
        self._grouping.start()
        self._watch = asyncio.create_task(self._keep_looking())

    async def append(self, records: Sequence[Incoming]) -> list[Receipt]:
        return await self._grouping.append(records)

    async def close(self) -> None:
        self._watch.cancel()
        with suppress(asyncio.CancelledError):
            await self._watch
        await self._grouping.close(CLOSE_SECONDS)
        await asyncio.get_running_loop().run_in_executor(None, self._announcer.close)
        self._threads.shutdown(wait=False)

    def ready(self) -> bool:
        return self._available

    async def _write(self, group: Sequence[Append]) -> None:
        by_tenant: dict[str, list[Append]] = defaultdict(list)
        for append in group:
            tenants = {record.tenant for record in append.records}
            if len(tenants) > 1:
                append.fail(Rejected("One append holds the records of one tenant", tenants=len(tenants)))
            else:
                by_tenant[tenants.pop()].append(append)
        for tenant, appends in by_tenant.items():
            await self._write_for(tenant, appends)

    async def _write_for(self, tenant: str, appends: Sequence[Append]) -> None:
        """One transaction for all; where the data of one are at fault, one for each."""
        try:
            receipts = await self._store(tenant, [record for append in appends for record in append.records])
        except (Rejected, DBAPIError) as error:
            if len(appends) == 1:
                appends[0].fail(error)
                return
            for append in appends:
                await self._write_for(tenant, [append])
        except Retryable as error:
            self._available = False
            for append in appends:
                append.fail(error)
        else:
            self._available = True
            for append in appends:
                append.succeed(receipts[: len(append.records)])
                del receipts[: len(append.records)]

    async def _store(self, tenant: str, records: Sequence[Incoming]) -> list[Receipt]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._store_now, tenant, records)

    def _store_now(self, tenant: str, records: Sequence[Incoming]) -> list[Receipt]:
        with unit_of_work(self._engine, tenant=tenant) as connection:
            stored = store(connection, records)
        pairs = zip(records, stored, strict=True)
        self._announcer.announce([Order(r.automation, s.case_id) for r, s in pairs if s.receipt is Receipt.ACCEPTED and r.opens_case])
        return [answer.receipt for answer in stored]

    async def _keep_looking(self) -> None:
        """Find out by itself when the database is back: without readiness there is no traffic that would tell."""
        while True:
            if not self._available:
                with suppress(Retryable):
                    await asyncio.get_running_loop().run_in_executor(self._threads, self._touch)
                    self._available = True
            await asyncio.sleep(CHECK_SECONDS)

    def _touch(self) -> None:
        with unit_of_work(self._engine) as connection:
            connection.exec_driver_sql("SELECT 1")
