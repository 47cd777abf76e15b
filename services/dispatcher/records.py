"""Reads one Kafka record: an event for the inbox, or poison with the reason."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.errors import Rejected
from shared.eventlog.kafka_record import BODY_SHA256, RECEIVED_AT, TENANT, TRACEPARENT
from shared.events.admission import admit, refuse_ahead
from shared.events.envelope import Event
from shared.events.parse import structured
from shared.intake.record import Incoming
from shared.intake.repository import UnknownTenant
from shared.telemetry import trace

_TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_CLOCK_SKEW = timedelta(minutes=5)
# Longer than any retention: what claims to be older was stamped by a broken clock.
_OLDEST = timedelta(days=31)
_LONGEST_ERROR = 2000


class NoTenant(Rejected):
    """The record does not name its tenant in the header `tenant`."""

    code = "no_tenant"


class NoValue(Rejected):
    """The record is empty."""

    code = "no_value"


@dataclass(frozen=True, slots=True)
class Raw:
    """Attributes: timestamp: milliseconds since 1970, by the producer or the broker; negative or None where unknown."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = field(default=(), repr=False)

    def header(self, name: str) -> str | None:
        """The first one of that name, or None where it is absent or not ASCII."""
        value = next((value for key, value in self.headers if key == name), None)
        return value.decode() if value is not None and value.isascii() else None


@dataclass(frozen=True, slots=True)
class Poison:
    """A record that will never be a case.

    Attributes:
        tenant: whose it is, or None where the record does not say.
        automation: that would have handled it, or None where that cannot be told.
        error: why, without any value of the record.
    """

    raw: Raw
    tenant: str | None
    automation: str | None
    error: str
    received_at: datetime

    @classmethod
    def because(cls, raw: Raw, error: Exception, now: datetime, *, tenant: str | None, automation: str | None = None) -> Poison:
        return cls(raw, tenant, automation, said(error), received_at(raw, now))


def no_such_tenant(tenant: str) -> UnknownTenant:
    """With the name, whose form was checked: without it nobody could tell whose record it should have been."""
    return UnknownTenant(f"There is no tenant {tenant}.")


def read(raw: Raw, now: datetime, time_ahead: timedelta) -> Incoming | Poison:
    """Never raises: whatever is wrong with a record is wrong with this record only.

    Args:
        time_ahead: how far an event's own time may be ahead of its arrival.
    """
    tenant = _tenant(raw)
    if tenant is None:
        return Poison.because(raw, NoTenant(), now, tenant=None)
    try:
        return _incoming(raw, tenant, now, time_ahead)
    except Rejected as error:
        automation = error.context.get("automation")
        return Poison.because(raw, error, now, tenant=tenant, automation=automation if isinstance(automation, str) else None)
    except Exception as error:  # noqa: BLE001  # automations may come from other distributions; their mistake must not stop a partition
        return Poison.because(raw, error, now, tenant=tenant)


def received_at(raw: Raw, now: datetime) -> datetime:
    """When we first had it: what the gateway wrote, else Kafka's timestamp, else now; a time that cannot be true counts as absent."""
    for moment in (_gateway_time(raw), _kafka_time(raw)):
        if moment is not None and now - _OLDEST < moment < now + _CLOCK_SKEW:
            return moment
    return now


def _incoming(raw: Raw, tenant: str, now: datetime, time_ahead: timedelta) -> Incoming:
    if not raw.value:
        raise NoValue
    event = structured(raw.value)
    automation, _ = admit(event)
    received = received_at(raw, now)
    refuse_ahead(event, automation, received, time_ahead)
    body, digest = _body(raw, event)
    return Incoming(
        tenant=tenant,
        source=event.source,
        event_id=event.id,
        event_type=event.type,
        automation=automation.name,
        occurred_at=event.time or received,
        received_at=received,
        body=body,
        body_sha256=digest,
        traceparent=_traceparent(raw),
    )


def _body(raw: Raw, event: Event) -> tuple[bytes, bytes]:
    """Canonical, whatever the header says: what reads a body later finds ``data`` in it, and no ``data_base64``.

    The gateway says which bytes its sender sent (a webhook's own body, unmapped); who does not say has sent the event itself.
    """
    body = event.canonical()
    return body, _digest(raw.header(BODY_SHA256)) or hashlib.sha256(body).digest()


def _digest(text: str | None) -> bytes | None:
    """None where it is no SHA-256 in hexadecimal."""
    if text is None or not re.fullmatch(r"[0-9a-f]{64}", text):
        return None
    return bytes.fromhex(text)


def _tenant(raw: Raw) -> str | None:
    tenant = raw.header(TENANT)
    return tenant if tenant is not None and _TENANT.fullmatch(tenant) else None


def _traceparent(raw: Raw) -> str | None:
    header = raw.header(TRACEPARENT)
    return header if header is not None and trace.is_valid(header) else None


def _gateway_time(raw: Raw) -> datetime | None:
    try:
        moment = datetime.fromisoformat(raw.header(RECEIVED_AT) or "")
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _kafka_time(raw: Raw) -> datetime | None:
    try:
        return datetime.fromtimestamp(raw.timestamp / 1000, UTC) if raw.timestamp is not None and raw.timestamp > 0 else None
    except (ValueError, OverflowError, OSError):
        return None


def said(error: Exception) -> str:
    """What stands as the error of a poison record: the code first."""
    if not isinstance(error, Rejected):
        return type(error).__name__
    faults = error.context.get("errors")
    parts = [f"{fault['field']}: {fault['problem']}" for fault in faults] if isinstance(faults, list) else []
    return "; ".join([f"{error.code}: {error.message}", *parts])[:_LONGEST_ERROR].replace("\0", "")
