"""The inbox: one row per event, its payload, and what came in beside it."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from shared.models.base import Instant, TransactionId, booked_at, created_at, metadata, tenant, transaction_id, uuid_key

STATES = ("pending", "processing", "review", "decided", "quarantined")

cases = Table(
    "cases",
    metadata,
    uuid_key(),
    tenant(),
    Column("source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("automation", Text, nullable=False),
    Column("body_sha256", LargeBinary, nullable=False),
    Column("arm", Text, nullable=False),
    # Probability of the control arm that applied when the arm was drawn.
    Column("control_probability", Numeric(5, 4), nullable=False),
    # Set by the worker: null until it has read the payload.
    Column("stratum", Text),
    # With the stratum; stays null where the automation declares none.
    Column("covariate", Float),
    Column("state", Text, nullable=False, server_default=text("'pending'")),
    Column("attempt", SmallInteger, nullable=False, server_default=text("0")),
    Column("dispatches", SmallInteger, nullable=False, server_default=text("0")),
    Column("lease_until", Instant),
    Column("next_dispatch_at", Instant, nullable=False, server_default=func.now()),
    Column("last_error", Text),
    Column("occurred_at", Instant, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("traceparent", Text),
    # Transaction of receipt: what was summed up before it was known before the arm was drawn. Null in cases older than the column.
    Column("xid", TransactionId, server_default=func.pg_current_xact_id()),
    # Not partitioned by time: the dedupe key must hold across month boundaries.
    UniqueConstraint("tenant_id", "source", "event_id"),
    CheckConstraint("arm IN ('automated','control')", name="known_arm"),
    CheckConstraint("state IN ('pending','processing','review','decided','quarantined')", name="known_state"),
    # By attempt first: the steward looks for fresh, for retried and for hopeless cases, and one kind must not hide another.
    Index("ix_cases_dispatchable", "attempt", "next_dispatch_at", postgresql_where=text("state = 'pending'")),
    # By automation first: the steward passes one that is paused over, however many of its cases wait.
    Index("ix_cases_waiting", "tenant_id", "automation", "attempt", "next_dispatch_at", postgresql_where=text("state = 'pending'")),
    Index("ix_cases_leased", "lease_until", postgresql_where=text("state = 'processing'")),
    Index("ix_cases_open", "tenant_id", "automation", "received_at", postgresql_where=text("state <> 'decided'")),
    Index("ix_cases_tenant_id_received_at", "tenant_id", "received_at", "id"),
)

payloads = Table(
    "payloads",
    metadata,
    Column("received_at", Instant, primary_key=True),
    Column("case_id", UUID(as_uuid=True), primary_key=True),
    tenant(),
    # Canonical CloudEvents JSON: bytea, because jsonb refuses what JSON allows (U+0000).
    Column("body", LargeBinary, nullable=False),
    postgresql_partition_by="RANGE (received_at)",
)

case_fingerprints = Table(
    "case_fingerprints",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("automation", Text, primary_key=True),
    Column("fingerprint", LargeBinary, primary_key=True),
    # The first case with this fingerprint; every later one is its duplicate.
    Column("case_id", UUID(as_uuid=True), nullable=False),
)

intake_batches = Table(
    "intake_batches",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    tenant(),
    Column("automation", Text, nullable=False),
    # Hour of receipt, start, UTC.
    Column("hour", Instant, nullable=False),
    Column("received", Integer, nullable=False),
    Column("duplicate", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    # New cases by the arm that they were drawn into, and the probability of the control arm that applied; null where none is new.
    Column("control", Integer, nullable=False, server_default=text("0")),
    Column("automated", Integer, nullable=False, server_default=text("0")),
    Column("share", Numeric(5, 4)),
    booked_at(),
    transaction_id(),
    CheckConstraint("received >= duplicate + rejected", name="parts_within_whole"),
    CheckConstraint("control + automated = 0 OR share IS NOT NULL", name="draws_have_a_probability"),
    Index(None, "xid"),
    Index(None, "tenant_id", "booked_at"),
)

consumed_ranges = Table(
    "consumed_ranges",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("first_offset", BigInteger, nullable=False),
    Column("last_offset", BigInteger, nullable=False),
    Column("new", Integer, nullable=False),
    Column("duplicate", Integer, nullable=False),
    Column("poison", Integer, nullable=False),
    created_at(),
    Index(None, "topic", "partition", "last_offset"),
)

poison_records = Table(
    "poison_records",
    metadata,
    uuid_key(),
    # Null where the record does not say whose it is; such rows are seen by the operator of the installation only.
    Column("tenant_id", Text),
    Column("automation", Text),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    # Of the Kafka record: name and value in base64, in their order, as many as `services.dispatcher.kept_headers` keeps.
    Column("headers", JSONB, nullable=False, server_default=text("'[]'")),
    Column("error", Text, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("resolved_at", Instant),
    created_at(),
    UniqueConstraint("topic", "partition", "offset"),
)
