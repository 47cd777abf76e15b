"""Second looks at automatic decisions, what they found, and the brake that they may pull."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
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
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from shared.models.base import Instant, TransactionId, created_at, metadata, tenant, transaction_id, uuid_key

# Decisions that were drawn, written with the decision itself.
audits = Table(
    "audits",
    metadata,
    Column("case_id", UUID(as_uuid=True), primary_key=True),
    tenant(),
    Column("automation", Text, nullable=False),
    Column("stratum", Text, nullable=False),
    # Of being drawn, as it applied then; and the least one that any decision of this automation had then.
    Column("probability", Numeric(5, 4), nullable=False),
    Column("least", Numeric(5, 4), nullable=False),
    # What is checked: the first answer, and who gave it.
    Column("outcome", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("model_version", Text),
    Column("decided_at", Instant, nullable=False),
    created_at(),
    transaction_id(),
    CheckConstraint("least > 0 AND least <= probability AND probability <= 1", name="probabilities_in_order"),
    Index(None, "xid"),
    Index(None, "tenant_id", "automation", "decided_at"),
    Index(None, "tenant_id", "created_at"),
)

audit_findings = Table(
    "audit_findings",
    metadata,
    Column("case_id", UUID(as_uuid=True), primary_key=True),
    # 0: the second answer, by somebody who did not see the first; 1: another person's, where those two differ.
    Column("round", SmallInteger, primary_key=True, autoincrement=False),
    tenant(),
    Column("automation", Text, nullable=False),
    Column("review_id", UUID(as_uuid=True), nullable=False),
    Column("outcome", Text, nullable=False),
    # Whether the first answer was wrong; null where another person has to say.
    Column("wrong", Boolean),
    Column("reviewer", Text, nullable=False),
    created_at(),
    transaction_id(),
    # One person alone calls nothing wrong; the next one's word is final.
    CheckConstraint("wrong IS NOT TRUE AND round = 0 OR wrong IS NOT NULL AND round = 1", name="wrong_takes_two_people"),
    Index(None, "xid"),
    Index(None, "tenant_id", "created_at"),
)


def _sums(name: str, period: str) -> Table:
    """What second looks found.

    Args:
        period: column with the start of the hour, day or month, UTC, in which decisions, draws and findings were booked: what was known
            at an earlier moment is asked for as well.
    """
    return Table(
        name,
        metadata,
        Column("tenant_id", Text, primary_key=True),
        Column("automation", Text, primary_key=True),
        Column(period, Instant, primary_key=True),
        # Automatic decisions that could be drawn, the sum of their probabilities, and the least of these.
        Column("decisions", BigInteger, nullable=False, server_default=text("0")),
        Column("probability", Numeric(24, 4), nullable=False, server_default=text("0")),
        Column("least", Numeric(5, 4)),
        # Of these: drawn; found right or wrong for good; waiting for a third answer; wrong; and 1/probability of the wrong, the drawn, the
        # done and the disputed ones.
        Column("drawn", BigInteger, nullable=False, server_default=text("0")),
        Column("done", BigInteger, nullable=False, server_default=text("0")),
        Column("disputed", BigInteger, nullable=False, server_default=text("0")),
        Column("wrong", BigInteger, nullable=False, server_default=text("0")),
        Column("weighted", Numeric(30, 10), nullable=False, server_default=text("0")),
        Column("weighted_drawn", Numeric(30, 10), nullable=False),
        Column("weighted_done", Numeric(30, 10), nullable=False),
        Column("weighted_disputed", Numeric(30, 10), nullable=False),
    )


audit_hours = _sums("audit_hours", "hour")
audit_days = _sums("audit_days", "day")
audit_months = _sums("audit_months", "month")

# What the brake knows so far: the wealth of `shared.measure.brake`, one row for each automation.
brake_evidence = Table(
    "brake_evidence",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("automation", Text, primary_key=True),
    # Stake on each multiple of the limit.
    Column("stakes", ARRAY(Float), nullable=False),
    Column("reserve", Float, nullable=False),
    Column("audits", Integer, nullable=False),
    Column("wrong", Integer, nullable=False),
    Column("highest", Float, nullable=False),
    # Every finding of a transaction below it is in the evidence, or was forgotten when a person released the brake.
    Column("horizon", TransactionId, nullable=False),
    Column("since", Instant, nullable=False),
)

brakes = Table(
    "brakes",
    metadata,
    uuid_key(),
    tenant(),
    Column("automation", Text, nullable=False),
    Column("braked_at", Instant, nullable=False),
    # Audits, errors, rate with its bounds and the limit, as they were then.
    Column("evidence", JSONB, nullable=False),
    Column("released_at", Instant),
    Column("released_by", Text),
    Column("note", Text),
    CheckConstraint("(released_at IS NULL) = (released_by IS NULL)", name="released_by_somebody"),
    Index("uq_brakes_on", "tenant_id", "automation", unique=True, postgresql_where=text("released_at IS NULL")),
    Index(None, "tenant_id", "braked_at"),
)
