"""What becomes of a batch of records: everything of it in one transaction, and where one record spoils that, that one is buried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

import structlog

from services.dispatcher import repository
from services.dispatcher.records import Poison, Raw, no_such_tenant, read
from shared.errors import InvariantBroken
from shared.intake.record import Incoming, Receipt, Stored
from shared.intake.repository import store
from shared.taskqueue.orders import Order
from shared.telemetry import metrics, trace

if TYPE_CHECKING:
    from datetime import timedelta

    from sqlalchemy import Connection, Engine

    from shared.clock import Clock

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Entry:
    raw: Raw
    content: Incoming | Poison

    def buried(self, error: Exception, clock: Clock, *, tenant: str | None) -> Entry:
        automation = self.content.automation
        return Entry(self.raw, Poison.because(self.raw, error, clock.now(), tenant=tenant, automation=automation))


@dataclass(frozen=True, slots=True)
class Outcome:
    """Attributes: orders: new cases, to be announced after the commit."""

    orders: list[Order] = field(default_factory=list)
    poison: list[Poison] = field(default_factory=list)

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(self.orders + other.orders, self.poison + other.poison)


class Intake:
    """Args: time_ahead: how far an event's own time may be ahead of its arrival."""

    def __init__(self, engine: Engine, clock: Clock, time_ahead: timedelta) -> None:
        self._engine = engine
        self._clock = clock
        self._time_ahead = time_ahead

    def put_away(self, records: Sequence[Raw]) -> Outcome:
        """Store records of any partitions, with the offsets that they cover.

        Args:
            records: by partition, ascending.

        Raises:
            DatabaseUnavailable: nothing of the batch, or some of it, is stored; putting away all of it again is safe.
        """
        now = self._clock.now()
        return self._put_away([Entry(raw, read(raw, now, self._time_ahead)) for raw in records])

    def _put_away(self, entries: Sequence[Entry]) -> Outcome:
        try:
            return self._in_one_transaction(entries)
        except repository.Unstorable as error:
            if len(entries) == 1:
                return self._bury(entries[0], error)
            middle = len(entries) // 2
            return self._put_away(entries[:middle]) + self._put_away(entries[middle:])

    def _bury(self, entry: Entry, error: Exception) -> Outcome:
        if isinstance(entry.content, Poison):
            raise InvariantBroken("a poison record could not be stored", partition=entry.raw.partition, offset=entry.raw.offset) from error
        return self._in_one_transaction([entry.buried(error, self._clock, tenant=entry.content.tenant)])

    def _in_one_transaction(self, entries: Sequence[Entry]) -> Outcome:
        with repository.transaction(self._engine) as connection:
            entries = self._without_unknown_tenants(connection, entries)
            incoming = [entry.content for entry in entries if isinstance(entry.content, Incoming)]
            poison = [entry.content for entry in entries if isinstance(entry.content, Poison)]
            stored = store(connection, incoming)
            repository.insert_poison(connection, poison)
            results = _results(entries, stored)
            ranges = _ranges(entries, results)
            repository.insert_ranges(connection, ranges)
        _observe(results, poison)
        log.info(
            "batch_stored",
            **Counter(results),
            offsets=[f"{r.partition}:{r.first_offset}-{r.last_offset}" for r in ranges],
            trace_ids=trace.trace_ids(record.traceparent for record in incoming),
        )
        pairs = zip(incoming, stored, strict=True)
        return Outcome([Order(i.automation, s.case_id) for i, s in pairs if s.receipt is Receipt.ACCEPTED and i.opens_case], poison)

    def _without_unknown_tenants(self, connection: Connection, entries: Sequence[Entry]) -> list[Entry]:
        """A tenant that does not exist owns nothing, not even a poison record."""
        known = repository.known_tenants(connection, {entry.content.tenant for entry in entries if entry.content.tenant})
        return [
            entry
            if entry.content.tenant is None or entry.content.tenant in known
            else entry.buried(no_such_tenant(entry.content.tenant), self._clock, tenant=None)
            for entry in entries
        ]


def _results(entries: Sequence[Entry], stored: Sequence[Stored]) -> list[str]:
    receipts = iter(stored)
    return ["poison" if isinstance(entry.content, Poison) else next(receipts).receipt.value for entry in entries]


def _ranges(entries: Sequence[Entry], results: Sequence[str]) -> list[repository.Range]:
    ranges = []
    pairs = zip(entries, results, strict=True)
    for (topic, partition), group in groupby(pairs, key=lambda pair: (pair[0].raw.topic, pair[0].raw.partition)):
        covered = list(group)
        counts = Counter(result for _, result in covered)
        ranges.append(
            repository.Range(
                topic,
                partition,
                first_offset=covered[0][0].raw.offset,
                last_offset=covered[-1][0].raw.offset,
                new=counts[Receipt.ACCEPTED],
                duplicate=counts[Receipt.DUPLICATE] + counts[Receipt.CONFLICT],
                poison=counts["poison"],
            )
        )
    return ranges


def _observe(results: Sequence[str], poison: Sequence[Poison]) -> None:
    for result, count in Counter(results).items():
        metrics.consumed.labels("new" if result == Receipt.ACCEPTED else result).inc(count)
    for p in poison:
        log.warning("record_buried", topic=p.raw.topic, partition=p.raw.partition, offset=p.raw.offset, code=p.error.partition(":")[0])
