"""Which version of an automation's models a tenant uses, which one is tried, and what both said about the same cases."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Date, Index, Numeric, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB, UUID

from shared.models.base import Instant, created_at, metadata, tenant

# What workers have; nobody's in particular.
model_versions = Table(
    "model_versions",
    metadata,
    Column("automation", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    # Holds for tenants that have promoted nothing else.
    Column("is_default", Boolean, nullable=False),
    Column("seen_at", Instant, nullable=False),
    # By tier and level: {"tier", "model", "alpha", "is_default", "scores": [ten numbers]}; none for models whose packs do not say.
    Column("certified_scores", JSONB, nullable=False, server_default=text("'[]'")),
)

model_rollouts = Table(
    "model_rollouts",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("automation", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("state", Text, nullable=False),
    # Of cases that the version decides while it is a canary.
    Column("canary_share", Numeric(5, 4), nullable=False, server_default=text("0")),
    # Pairs since then are its evidence; and the newest look at them.
    Column("since", Instant, nullable=False),
    Column("evidence", JSONB),
    Column("changed_at", Instant, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("reason", Text),
    CheckConstraint("state IN ('shadow','canary','active','retired')", name="known_state"),
    CheckConstraint("canary_share BETWEEN 0 AND 1 AND (state = 'canary') = (canary_share > 0)", name="only_a_canary_has_a_share"),
    # One of each at a time: a comparison is between two.
    Index("uq_model_rollouts_active", "tenant_id", "automation", unique=True, postgresql_where=text("state = 'active'")),
    Index("uq_model_rollouts_tried", "tenant_id", "automation", unique=True, postgresql_where=text("state IN ('shadow','canary')")),
)

model_pairs = Table(
    "model_pairs",
    metadata,
    Column("case_id", UUID(as_uuid=True), primary_key=True),
    Column("candidate", Text, primary_key=True),
    tenant(),
    Column("automation", Text, nullable=False),
    Column("present", Text, nullable=False),
    # What each would decide without a person; null: nothing.
    Column("present_outcome", Text),
    Column("candidate_outcome", Text),
    # Whether the candidate's answer was the one that counted; null in the control arm, where none does.
    Column("candidate_acted", Boolean),
    # Probability with which the truth about this case is seen; 0: never.
    Column("seen", Numeric(9, 8), nullable=False),
    created_at(),
    CheckConstraint("seen BETWEEN 0 AND 1", name="seen_is_a_probability"),
    Index(None, "tenant_id", "automation", "candidate", "created_at"),
)

# What a model of a tenant said about the cases of one day of receipt, and how far that is from its first day or from its certification.
model_windows = Table(
    "model_windows",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("automation", Text, primary_key=True),
    Column("tier", Text, primary_key=True),
    Column("model_version", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    # {"scores": [ten numbers], "labels": {label: number}}.
    Column("outputs", JSONB, nullable=False),
    Column("cases", BigInteger, nullable=False),
    # The later ones are held against it.
    Column("is_reference", Boolean, nullable=False),
    # Null where there was nothing to compare: the reference itself, unless scores were certified, and days with too few cases.
    Column("finding", JSONB),
    Column("drifted", Boolean, nullable=False),
    created_at(),
    Index(
        "uq_model_windows_reference", "tenant_id", "automation", "tier", "model_version", unique=True, postgresql_where=text("is_reference")
    ),
    Index(None, "tenant_id", "day"),
)
