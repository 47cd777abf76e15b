"""How an event lies in Kafka: the value is the canonical body, the rest is in headers.

A producer of your own needs the header ``tenant`` only; the dispatcher works out what the others say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from shared.intake.record import Incoming

SCHEMA = b"1"

TENANT = "tenant"
BODY_SHA256 = "body_sha256"
RECEIVED_AT = "received_at"
TRACEPARENT = "traceparent"
SCHEMA_HEADER = "schema"


class KafkaRecord(NamedTuple):
    """Attributes: key: spreads events over the partitions; order is not promised."""

    topic: str
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


def kafka_record(topic: str, incoming: Incoming) -> KafkaRecord:
    headers = [
        (TENANT, incoming.tenant.encode()),
        (BODY_SHA256, incoming.body_sha256.hex().encode()),
        (RECEIVED_AT, incoming.received_at.isoformat().encode()),
        (SCHEMA_HEADER, SCHEMA),
    ]
    if incoming.traceparent is not None:
        headers.append((TRACEPARENT, incoming.traceparent.encode()))
    return KafkaRecord(topic, incoming.key, incoming.body, headers)
