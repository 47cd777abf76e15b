"""What business systems say later about cases that were decided."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, Numeric, SmallInteger, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import UUID

from shared.models.base import Instant, created_at, metadata, tenant, uuid_key

case_outcomes = Table(
    "case_outcomes",
    metadata,
    uuid_key(),
    tenant(),
    # Identity of the outcome's own event.
    Column("source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("body_sha256", LargeBinary, nullable=False),
    # The case that it names: by id, or by source and id of the case's event.
    Column("named_case", UUID(as_uuid=True)),
    Column("named_source", Text),
    Column("named_event_id", Text),
    Column("result", Text, nullable=False),
    # What it cost or gave back in truth, where the business system says so.
    Column("amount", Numeric(18, 4)),
    Column("currency", Text),
    Column("occurred_at", Instant, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("traceparent", Text),
    Column("state", Text, nullable=False, server_default=text("'waiting'")),
    # Set when it is applied: the case, and how many lines were booked.
    Column("case_id", UUID(as_uuid=True)),
    Column("lines", SmallInteger),
    Column("settled_at", Instant),
    created_at(),
    UniqueConstraint("tenant_id", "source", "event_id"),
    CheckConstraint("result IN ('reopened','appealed','refunded','confirmed_wrong','confirmed_right')", name="known_result"),
    CheckConstraint("state IN ('waiting','applied','unmatched')", name="known_state"),
    CheckConstraint("(state = 'waiting') = (settled_at IS NULL)", name="settled_when_not_waiting"),
    CheckConstraint("(amount IS NULL) = (currency IS NULL)", name="amount_has_a_currency"),
    CheckConstraint(
        "(named_case IS NULL) = (named_event_id IS NOT NULL) AND (named_source IS NULL) = (named_event_id IS NULL)", name="names_one_case"
    ),
    Index("ix_case_outcomes_waiting", "received_at", postgresql_where=text("state = 'waiting'")),
    Index(None, "tenant_id", "received_at", "id"),
    Index(None, "case_id"),
)
