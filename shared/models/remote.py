"""What calls of remote models were held back for, and what they took."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Date, Index, Numeric, Table, Text, text
from sqlalchemy.dialects.postgresql import UUID

from shared.models.base import Instant, created_at, metadata, tenant, uuid_key

remote_calls = Table(
    "remote_calls",
    metadata,
    uuid_key(),
    tenant(),
    Column("automation", Text, nullable=False),
    Column("case_id", UUID(as_uuid=True), nullable=False),
    Column("model", Text, nullable=False),
    # Day whose cap it counts for, UTC.
    Column("day", Date, nullable=False),
    # `held`: perhaps being made; `free`: was not charged; `settled`: paid, and not in the ledger yet; `booked`.
    Column("state", Text, nullable=False, server_default=text("'held'")),
    # The most that it may take until it is settled, then what it took.
    Column("tokens", BigInteger, nullable=False),
    Column("amount", Numeric(30, 10), nullable=False),
    Column("currency", Text, nullable=False),
    # False where the provider did not count: tokens and amount are then upper bounds.
    Column("counted", Boolean, nullable=False, server_default=text("false")),
    created_at(),
    Column("settled_at", Instant),
    CheckConstraint("state IN ('held','free','settled','booked')", name="known_state"),
    CheckConstraint("amount >= 0 AND tokens >= 0", name="not_negative"),
    Index("ix_remote_calls_unbooked", "case_id", postgresql_where=text("state IN ('held','settled')")),
    Index("ix_remote_calls_waiting", "created_at", postgresql_where=text("state IN ('held','settled')")),
)

remote_spend = Table(
    "remote_spend",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("automation", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("currency", Text, primary_key=True),
    # Sum of the amounts of that day's calls, held ones included.
    Column("committed", Numeric(30, 10), nullable=False),
    CheckConstraint("committed >= 0", name="not_negative"),
)
