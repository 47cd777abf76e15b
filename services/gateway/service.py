"""What happens to a request: verify, read, admit, append; nothing is answered before the log has acknowledged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from services.gateway.errors import InvalidBatch, SourceDisabled
from services.gateway.media import Batch, read
from services.gateway.schemas import EventStatus, Received
from services.gateway.signature import verify
from shared.automations.registry import automations
from shared.errors import Conflict, Rejected, Retryable, SchemaViolation, TooLarge, UnknownEventType
from shared.events.admission import TimeAhead, admit, automation_for, refuse_ahead
from shared.events.envelope import Event
from shared.events.parse import faults_of, parse_json
from shared.intake.record import Incoming, Receipt
from shared.telemetry import metrics, trace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta
    from uuid import UUID

    from services.gateway.buckets import Buckets
    from services.gateway.rejections import Rejections
    from services.gateway.source import Source
    from shared.automations.contract import Automation
    from shared.clock import Clock
    from shared.eventlog.port import EventLog

# Numbers may grow when they are written down (1e15 becomes 1000000000000000.0); a Kafka record holds 1 MiB.
LONGEST_RECORD: Final = 900_000
_CONFLICT: Final = "was received before with another body; the first one is kept, so send a change as an event with a new id"


class Sender(NamedTuple):
    """Attributes: id: of the API key or the source: what the rate limit counts."""

    id: UUID
    tenant: str


class Gateway:
    """The one way in for every transport.

    Args:
        time_ahead: how far an event's own time may be ahead of ours.
    """

    def __init__(self, log: EventLog, buckets: Buckets, rejections: Rejections, clock: Clock, time_ahead: timedelta) -> None:
        self._log = log
        self._buckets = buckets
        self._rejections = rejections
        self._clock = clock
        self._time_ahead = time_ahead

    async def receive(self, sender: Sender, headers: Mapping[str, str], raw: bytes) -> Received:
        """One event or a batch from a sender whose key was verified.

        Raises:
            Rejected: nothing was appended; except `Conflict` of a batch, whose other events were.
            Retryable: nothing is promised.
        """
        with _counted():
            self._buckets.take(sender.id)
            found = read(headers, raw)
            if isinstance(found, Event):
                return await self._append_one(self._incoming(sender, found))
            self._buckets.take(sender.id, max(len(found) - 1, 0))
            return await self._append_batch(self._admitted(sender, found))

    async def receive_webhook(self, source: Source, headers: Mapping[str, str], raw: bytes) -> Received:
        """One payload, verified before anything in it is read.

        Raises:
            BadSignature, SourceDisabled, MappingFailed: see there.
            Rejected: as `receive`.
            Retryable: nothing is promised.
        """
        with _counted():
            message_id = verify(source.secrets, headers, raw, self._clock.now())
            if source.disabled:
                raise SourceDisabled
            self._buckets.take(source.id)
            return await self._append_one(self._mapped(source, message_id, raw))

    def _mapped(self, source: Source, message_id: str, raw: bytes) -> Incoming:
        sender = Sender(source.id, source.tenant)
        automation = automation_for(source.event_type)
        try:
            event = source.mapping.event(parse_json(raw), message_id=message_id, source=source.uri, event_type=source.event_type)
        except Rejected:
            self._rejections.add(source.tenant, automation.name)
            raise
        # Of the payload as it came: what the mapping leaves out also tells two messages apart.
        return self._incoming(sender, event, hashlib.sha256(raw).digest())

    def _incoming(self, sender: Sender, event: Event, digest: bytes | None = None) -> Incoming:
        now = self._clock.now()
        automation = self._automation(sender, event, now)
        body = event.canonical()
        if len(body) > LONGEST_RECORD:
            raise TooLarge("The event is too large when its numbers are written out; send large numbers as strings.")
        sent = event.extensions.get("traceparent")
        return Incoming(
            tenant=sender.tenant,
            source=event.source,
            event_id=event.id,
            event_type=event.type,
            automation=automation.name,
            occurred_at=event.time or now,
            received_at=now,
            body=body,
            body_sha256=digest or hashlib.sha256(body).digest(),
            traceparent=trace.continued(sent) if isinstance(sent, str) else trace.current.get(),
        )

    def _automation(self, sender: Sender, event: Event, now: datetime) -> Automation:
        try:
            automation = admit(event)[0]
            refuse_ahead(event, automation, now, self._time_ahead)
        except (SchemaViolation, TimeAhead) as error:
            self._rejections.add(sender.tenant, str(error.context["automation"]))
            raise
        return automation

    def _admitted(self, sender: Sender, members: Batch) -> list[Incoming]:
        """All members, or InvalidBatch with what is wrong with each bad one."""
        records: list[Incoming] = []
        faults: list[dict[str, object]] = []
        seen: set[tuple[str, str]] = set()
        for index, member in enumerate(members):
            try:
                record = self._incoming(sender, _event(member))
                _refuse_repeated(seen, record)
            except Rejected as error:
                faults += _indexed(index, error)
            else:
                records.append(record)
        if faults:
            raise InvalidBatch(errors=faults, known=sorted(a.event_type for a in automations().values()))
        return records

    async def _append_one(self, record: Incoming) -> Received:
        received = await self._append([record])
        if received.events[0].status is Receipt.CONFLICT:
            raise Conflict(f"An event of this source and id {_CONFLICT}.")
        return received

    async def _append_batch(self, records: Sequence[Incoming]) -> Received:
        received = await self._append(records) if records else Received(accepted=0, events=[])
        conflicts = [i for i, event in enumerate(received.events) if event.status is Receipt.CONFLICT]
        if conflicts:
            raise Conflict(
                "Some events of the batch were received before with another body; all others are stored.",
                errors=[{"index": i, "field": "id", "problem": _CONFLICT} for i in conflicts],
                **received.model_dump(),
            )
        return received

    async def _append(self, records: Sequence[Incoming]) -> Received:
        receipts = await self._log.append(records)
        for receipt in receipts:
            metrics.events.labels(receipt.value).inc()
        events = [
            EventStatus.model_construct(id=record.event_id, source=record.source, status=receipt)
            for record, receipt in zip(records, receipts, strict=True)
        ]
        return Received.model_construct(accepted=receipts.count(Receipt.ACCEPTED), events=events)


@contextmanager
def _counted() -> Iterator[None]:
    """Conflicts are counted where they are found."""
    try:
        yield
    except Conflict:
        raise
    except Rejected:
        metrics.events.labels("rejected").inc()
        raise
    except Retryable:
        metrics.events.labels("unavailable").inc()
        raise


def _event(member: Event | Rejected) -> Event:
    if isinstance(member, Event):
        return member
    raise member


def _refuse_repeated(seen: set[tuple[str, str]], record: Incoming) -> None:
    identity = (record.source, record.event_id)
    if identity in seen:
        raise Rejected("is the second event of this source and id in the batch; keep one")
    seen.add(identity)


def _indexed(index: int, error: Rejected) -> list[dict[str, object]]:
    faults = [{"index": index, **fault} for fault in faults_of(error)]
    if isinstance(error, UnknownEventType):
        faults[0]["field"] = "type"
    return faults
