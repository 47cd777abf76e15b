"""Where accepted events wait for their case: the port that the gateway writes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from shared.errors import Retryable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.intake.record import Incoming, Receipt


class LogUnavailable(Retryable):
    """Events cannot be accepted right now; send them again in a moment."""

    code = "log_unavailable"


class LogBusy(Retryable):
    """More events are arriving than can be stored; send them again in a moment."""

    code = "log_busy"


class EventLog(Protocol):
    """Used from one asyncio loop, which it never blocks."""

    async def start(self) -> None:
        """Begin to connect; returns at once, also where nothing answers yet (then `ready` is False)."""
        ...

    async def append(self, records: Sequence[Incoming]) -> list[Receipt]:
        """Store durably; one receipt per record, in order.

        DUPLICATE and CONFLICT are exact where the log is the inbox. A log in front of the inbox says ACCEPTED where it does not know
        better: the inbox drops the duplicate, or keeps the first body and writes the conflict to the audit log.

        Raises:
            Retryable: nothing is promised for any of the records; sending the same ones again is safe.
            Rejected: they can never be stored, as with a tenant that does not exist.
        """
        ...

    async def close(self) -> None:
        """Finish what was begun, within seconds."""
        ...

    def ready(self) -> bool:
        """Whether an append is expected to succeed now."""
        ...
