"""What was decided, by whom, at which step, and the work of people."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from shared.models.base import Instant, booked_at, created_at, metadata, tenant, transaction_id, uuid_key

decisions = Table(
    "decisions",
    metadata,
    # One decision per case, ever: the second guard behind the fence.
    Column("case_id", UUID(as_uuid=True), primary_key=True),
    tenant(),
    Column("automation", Text, nullable=False),
    Column("arm", Text, nullable=False),
    Column("stratum", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("adverse", Boolean, nullable=False),
    # 0..1; null where a person decided.
    Column("confidence", Float),
    Column("reasons", JSONB, nullable=False),
    Column("attributes", JSONB, nullable=False),
    # `rules`, `nano`, … or `human`.
    Column("tier", Text, nullable=False),
    Column("model_version", Text),
    Column("decided_by", Text, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("decided_at", Instant, nullable=False),
    # That the decision is drawn for an audit; null where a person decided, or nothing was drawn from.
    Column("audit_probability", Numeric(5, 4)),
    # What the automation declares to go with handling time, from facts known before the decision; null without one.
    Column("covariate", Float),
    booked_at(),
    transaction_id(),
    CheckConstraint("NOT adverse OR tier = 'human'", name="adverse_needs_a_person"),
    CheckConstraint("arm <> 'control' OR tier = 'human'", name="control_needs_a_person"),
    CheckConstraint("covariate BETWEEN -1e6 AND 1e6", name="covariate_in_range"),
    Index(None, "xid"),
    Index(None, "tenant_id", "decided_at"),
    Index(None, "tenant_id", "booked_at"),
)

# What people found wrong in a decision that was out already. The decision itself is never changed; the newest correction holds.
corrections = Table(
    "corrections",
    metadata,
    uuid_key(),
    tenant(),
    Column("case_id", UUID(as_uuid=True), nullable=False, index=True),
    # The rework in which it was found.
    Column("review_id", UUID(as_uuid=True), nullable=False, unique=True),
    Column("automation", Text, nullable=False),
    Column("previous_outcome", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("adverse", Boolean, nullable=False),
    Column("reasons", JSONB, nullable=False),
    Column("attributes", JSONB, nullable=False),
    Column("corrected_by", Text, nullable=False),
    Column("corrected_at", Instant, nullable=False),
    # What the outcome that holds from here on saves in cash; null where it saves none.
    Column("cash_amount", Numeric(30, 10)),
    Column("cash_currency", Text),
    transaction_id(),
    CheckConstraint("(cash_amount IS NULL) = (cash_currency IS NULL)", name="cash_has_a_currency"),
    Index(None, "xid"),
)

inferences = Table(
    "inferences",
    metadata,
    Column("case_id", UUID(as_uuid=True), primary_key=True),
    Column("attempt", SmallInteger, primary_key=True),
    # Place in the cascade, from 0.
    Column("position", SmallInteger, primary_key=True),
    tenant(),
    Column("tier", Text, nullable=False),
    Column("model_version", Text),
    Column("outcome", Text),
    Column("label", Text),
    Column("score", Float),
    Column("detail", JSONB, nullable=False),
    Column("cpu_ns", BigInteger, nullable=False),
    Column("wall_ns", BigInteger, nullable=False),
    created_at(),
)

reviews = Table(
    "reviews",
    metadata,
    uuid_key(),
    tenant(),
    Column("case_id", UUID(as_uuid=True), nullable=False),
    Column("automation", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # 0 for the first review of its kind; a reopened case gets the next round.
    Column("round", SmallInteger, nullable=False, server_default=text("0")),
    Column("state", Text, nullable=False, server_default=text("'open'")),
    # Why a person is asked: reason codes. And what the machine proposes; never shown to control and audit reviewers.
    Column("reasons", JSONB, nullable=False, server_default=text("'[]'")),
    Column("proposal", JSONB),
    created_at(),
    Column("claimed_by", Text),
    Column("claimed_at", Instant),
    # A claim that is neither renewed by a heartbeat nor submitted until then is given back.
    Column("claim_expires_at", Instant),
    # Seconds of work in the present claim by the reviewer's own clock, as heartbeats say; once submitted, in all claims.
    Column("active_seconds", Numeric(12, 3), nullable=False, server_default=text("0")),
    # Active seconds of claims that were given back, each capped by its claim's span, so that abandoned work is not lost.
    Column("earlier_seconds", Numeric(12, 3), nullable=False, server_default=text("0")),
    Column("submitted_at", Instant),
    Column("submitted_by", Text),
    Column("outcome", Text),
    # Both clocks of the submitted review, and what was booked: active, capped by the span.
    Column("span_seconds", Numeric(12, 3)),
    Column("booked_seconds", Numeric(12, 3)),
    UniqueConstraint("case_id", "kind", "round"),
    CheckConstraint("kind IN ('control','exception','audit','rework')", name="known_kind"),
    CheckConstraint("state IN ('open','claimed','submitted','cancelled')", name="known_state"),
    Index("ix_reviews_queue", "tenant_id", "automation", "created_at", postgresql_where=text("state IN ('open','claimed')")),
    Index("ix_reviews_claimed", "claim_expires_at", postgresql_where=text("state = 'claimed'")),
    Index("ix_reviews_submitted", "tenant_id", "submitted_at", postgresql_where=text("state = 'submitted'")),
)

review_heartbeats = Table(
    "review_heartbeats",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    tenant(),
    Column("review_id", UUID(as_uuid=True), nullable=False, index=True),
    Column("reviewer", Text, nullable=False),
    # Cumulative since the claim, by the reviewer's own monotonic clock.
    Column("active_seconds", Numeric(12, 3), nullable=False),
    Column("sequence", Integer, nullable=False),
    created_at(),
    UniqueConstraint("review_id", "reviewer", "sequence"),
)
