"""A log in memory: the smallest thing that keeps the port's promises while the process lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.eventlog.port import LogUnavailable
from shared.intake.record import Identity, Incoming, Receipt

if TYPE_CHECKING:
    from collections.abc import Sequence


class MemoryEventLog:
    """Attributes: records: the first record of every identity, in order of arrival."""

    def __init__(self) -> None:
        self.records: dict[Identity, Incoming] = {}
        self._open = False

    async def start(self) -> None:
        self._open = True

    async def append(self, records: Sequence[Incoming]) -> list[Receipt]:
        if not self._open:
            raise LogUnavailable
        return [self._append(record) for record in records]

    async def close(self) -> None:
        self._open = False

    def ready(self) -> bool:
        return self._open

    def _append(self, record: Incoming) -> Receipt:
        first = self.records.get(record.identity)
        if first is None:
            self.records[record.identity] = record
            return Receipt.ACCEPTED
        return Receipt.DUPLICATE if first.body_sha256 == record.body_sha256 else Receipt.CONFLICT
