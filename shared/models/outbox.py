"""Decisions, and what else business systems want to be told, on their way."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import UUID

from shared.models.base import Instant, created_at, metadata, tenant, uuid_key

outbox = Table(
    "outbox",
    metadata,
    uuid_key(),
    # Order of creation, for receivers that sort; not an order of delivery, and gaps mean nothing.
    Column("sequence", BigInteger, Identity(always=True), nullable=False),
    tenant(),
    # Null in messages that are about no single decision; they have a subject instead, which is what they are told once about.
    Column("case_id", UUID(as_uuid=True)),
    Column("subject", Text),
    # '*' where the message is about all of them.
    Column("automation", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # Byte-identical in every attempt.
    Column("body", LargeBinary, nullable=False),
    created_at(),
    # Null until deliveries exist for every endpoint of the moment, resp. until the decisions topic has acknowledged it.
    Column("planned_at", Instant),
    Column("published_at", Instant),
    Column("traceparent", Text),
    UniqueConstraint("case_id", "kind"),
    CheckConstraint("(case_id IS NULL) = (subject IS NOT NULL)", name="about_a_case_or_a_subject"),
    Index("uq_outbox_subject", "tenant_id", "kind", "subject", unique=True, postgresql_where=text("subject IS NOT NULL")),
    Index("ix_outbox_unplanned", "created_at", postgresql_where=text("planned_at IS NULL")),
    Index("ix_outbox_unpublished", "created_at", postgresql_where=text("published_at IS NULL")),
)

deliveries = Table(
    "deliveries",
    metadata,
    # `webhook-id` is this id: stable over every attempt.
    uuid_key(),
    tenant(),
    Column("outbox_id", UUID(as_uuid=True), nullable=False),
    Column("endpoint_id", UUID(as_uuid=True), nullable=False),
    Column("state", Text, nullable=False, server_default=text("'pending'")),
    Column("attempt", SmallInteger, nullable=False, server_default=text("0")),
    Column("next_attempt_at", Instant, nullable=False),
    Column("lease_until", Instant),
    Column("last_status", Integer),
    Column("last_error", Text),
    Column("delivered_at", Instant),
    created_at(),
    UniqueConstraint("outbox_id", "endpoint_id"),
    CheckConstraint("state IN ('pending','sending','delivered','dead')", name="known_state"),
    # By endpoint, because the courier takes a bounded number of each: one slow receiver starves nobody.
    Index("ix_deliveries_due", "endpoint_id", "next_attempt_at", postgresql_where=text("state = 'pending'")),
    Index("ix_deliveries_leased", "lease_until", postgresql_where=text("state = 'sending'")),
    Index(None, "tenant_id", "created_at"),
)
