"""One event on its way into the inbox, and what became of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shared.events.outcome import OUTCOMES_NAME


@dataclass(frozen=True, slots=True)
class Incoming:
    """An admitted event with the tenant it belongs to.

    Attributes:
        automation: name of the automation that handles ``event_type``.
        occurred_at: at the source; ``received_at`` where the event does not say.
        received_at: by us, first contact.
        body: canonical CloudEvents JSON (`Event.canonical`).
        body_sha256: digest of what the sender sent, to which two events of one identity must agree: ``body``, or the payload of a webhook
            before it was mapped.
        traceparent: W3C trace context of the request that brought it.
    """

    tenant: str
    source: str
    event_id: str
    event_type: str
    automation: str
    occurred_at: datetime
    received_at: datetime
    body: bytes
    body_sha256: bytes
    traceparent: str | None = None

    @property
    def identity(self) -> Identity:
        return (self.tenant, self.source, self.event_id)

    @property
    def opens_case(self) -> bool:
        """False for late outcomes, which are about a case that there is or will be."""
        return self.automation != OUTCOMES_NAME

    @property
    def key(self) -> bytes:
        """16 bytes that stand for the identity where it must be short and must not be read: Kafka's key, Redis' key."""
        return hashlib.sha256("|".join(self.identity).encode()).digest()[:16]


# (tenant, source, event id): one case, for ever.
Identity = tuple[str, str, str]


class Receipt(StrEnum):
    """What became of a record at the door."""

    # It is kept and will be decided.
    ACCEPTED = "accepted"
    # The same event with the same body was there before; nothing changed.
    DUPLICATE = "duplicate"
    # The same identity with another body was there before; the first one is kept.
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Stored:
    """Attributes: case_id: of the case that the record opened or belongs to; of a late outcome its own id."""

    receipt: Receipt
    case_id: UUID
