"""Who may send, who may look, where decisions go, how each automation is set for a tenant."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from shared.models.base import Instant, created_at, metadata, tenant, uuid_key

tenants = Table(
    "tenants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    # Only a tenant marked as simulated may let its people's clocks run faster.
    Column("simulated", Boolean, nullable=False, server_default=text("false")),
    Column("time_scale", Numeric(10, 3), nullable=False, server_default=text("1")),
    Column("currency", Text, nullable=False, server_default=text("'EUR'")),
    # Keys the random assignment of arms; not guessable from outside.
    Column("arm_salt", LargeBinary, nullable=False),
    created_at(),
    CheckConstraint("id ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name="id_is_a_slug"),
    CheckConstraint("simulated OR time_scale = 1", name="only_simulated_time_is_scaled"),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency_code"),
)

api_keys = Table(
    "api_keys",
    metadata,
    uuid_key(),
    tenant(),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False, unique=True),
    Column("secret_sha256", LargeBinary, nullable=False),
    Column("roles", ARRAY(Text), nullable=False),
    created_at(),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("last_used_at", Instant),
    CheckConstraint("roles <@ ARRAY['integrator','operator','executive','admin']", name="known_roles"),
    Index(None, "tenant_id"),
)

sources = Table(
    "sources",
    metadata,
    uuid_key(),
    tenant(),
    Column("name", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    # JMESPath expressions: {"id": …, "data": …, "time": …?, "subject": …?}; null: the payload is the event's data and carries its own id.
    Column("mapping", JSONB, nullable=False),
    created_at(),
    Column("disabled_at", Instant),
    UniqueConstraint("tenant_id", "name"),
)

source_secrets = Table(
    "source_secrets",
    metadata,
    uuid_key(),
    tenant(),
    Column("source_id", UUID(as_uuid=True), ForeignKey("sources.id", ondelete="CASCADE"), nullable=False, index=True),
    # Sealed by shared.security.vault: a signature needs the secret itself, so a hash would not do.
    Column("sealed", LargeBinary, nullable=False),
    created_at(),
    Column("expires_at", Instant),
)

endpoints = Table(
    "endpoints",
    metadata,
    uuid_key(),
    tenant(),
    Column("url", Text, nullable=False),
    # Empty: decisions of every automation.
    Column("automations", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    # Kinds of messages that it receives.
    Column("events", ARRAY(Text), nullable=False, server_default=text("'{decision.made,decision.corrected}'")),
    Column("state", Text, nullable=False, server_default=text("'enabled'")),
    Column("disabled_reason", Text),
    Column("failing_since", Instant),
    created_at(),
    CheckConstraint("state IN ('enabled','disabled')", name="known_state"),
    Index(None, "tenant_id"),
)

endpoint_secrets = Table(
    "endpoint_secrets",
    metadata,
    uuid_key(),
    tenant(),
    Column("endpoint_id", UUID(as_uuid=True), ForeignKey("endpoints.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
    created_at(),
    Column("expires_at", Instant),
)

automation_settings = Table(
    "automation_settings",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("automation", Text, primary_key=True),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("control_share", Numeric(5, 4), nullable=False, server_default=text("0.05")),
    # Fixed cost per month, booked hour by hour by the steward; never forgotten in an ROI.
    Column("platform_monthly", Numeric(18, 4), nullable=False, server_default=text("0")),
    # Share of automatic decisions that a person decides again; strata where more is at stake may have a higher one.
    Column("audit_share", Numeric(5, 4), nullable=False, server_default=text("0.02")),
    Column("audit_strata", JSONB, nullable=False, server_default=text("'{}'")),
    # Error rate that the automation is certified for: evidence of a higher one brakes it.
    Column("error_limit", Numeric(5, 4), nullable=False, server_default=text("0.05")),
    # Greatest error among automatic decisions whose certified thresholds hold; null: the one that the models were published with.
    Column("error_level", Numeric(5, 4)),
    # What one case may take in tiers, money in the tenant's currency; null: no limit.
    Column("budget_seconds", Numeric(9, 3)),
    Column("budget_money", Numeric(18, 8)),
    Column("updated_at", Instant, nullable=False, server_default=func.now()),
    # When the fixed cost was changed.
    Column("priced_at", Instant, nullable=False, server_default=func.now()),
    CheckConstraint("error_level > 0 AND error_level < 1", name="error_level_is_a_rate"),
    CheckConstraint("budget_seconds >= 0", name="budget_seconds_not_negative"),
    CheckConstraint("budget_money >= 0", name="budget_money_not_negative"),
    CheckConstraint("audit_share BETWEEN 0 AND 1", name="audit_share_is_a_share"),
    CheckConstraint("error_limit > 0 AND error_limit < 1", name="error_limit_is_a_rate"),
    CheckConstraint("control_share BETWEEN 0 AND 1", name="control_share_is_a_share"),
    CheckConstraint("platform_monthly >= 0", name="platform_cost_not_negative"),
)

audit_log = Table(
    "audit_log",
    metadata,
    uuid_key(),
    tenant(),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object_type", Text, nullable=False),
    Column("object_id", Text, nullable=False),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'")),
    created_at(),
    Index(None, "tenant_id", "created_at"),
)
