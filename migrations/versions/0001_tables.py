"""Every table."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


class XID8(sa.types.UserDefinedType[int]):
    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "XID8"


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("roles", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("roles <@ ARRAY['integrator','operator','executive','admin']", name=op.f("ck_api_keys_known_roles")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_keys_prefix")),
    )
    op.create_index(op.f("ix_api_keys_tenant_id"), "api_keys", ["tenant_id"], unique=False)
    op.create_table(
        "audit_log",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object_type", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_tenant_id_created_at"), "audit_log", ["tenant_id", "created_at"], unique=False)
    op.create_table(
        "automation_settings",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("automation", sa.Text(), nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("control_share", sa.Numeric(precision=5, scale=4), server_default=sa.text("0.05"), nullable=False),
        sa.Column("platform_monthly", sa.Numeric(precision=18, scale=4), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("control_share BETWEEN 0 AND 1", name=op.f("ck_automation_settings_control_share_is_a_share")),
        sa.CheckConstraint("platform_monthly >= 0", name=op.f("ck_automation_settings_platform_cost_not_negative")),
        sa.PrimaryKeyConstraint("tenant_id", "automation", name=op.f("pk_automation_settings")),
    )
    op.create_table(
        "baselines",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("automation", sa.Text(), nullable=False),
        sa.Column("stratum", sa.Text(), server_default=sa.text("'*'"), nullable=False),
        sa.Column("grade", sa.Text(), nullable=False),
        sa.Column("mean_seconds", sa.Numeric(precision=18, scale=6), nullable=False),
        sa.Column("variance_seconds2", sa.Numeric(precision=24, scale=6), nullable=True),
        sa.Column("n", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("xid", XID8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.CheckConstraint("grade IN ('B','C','D')", name=op.f("ck_baselines_stored_grade")),
        sa.CheckConstraint("mean_seconds >= 0", name=op.f("ck_baselines_time_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_baselines")),
    )
    op.create_index(op.f("ix_baselines_xid"), "baselines", ["xid"], unique=False)
    op.create_index(
        op.f("ix_baselines_tenant_id_automation_valid_from"), "baselines", ["tenant_id", "automation", "valid_from"], unique=False
    )
    op.create_table(
        "case_fingerprints",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("automation", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("case_id", sa.UUID(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "automation", "fingerprint", name=op.f("pk_case_fingerprints")),
    )
    op.create_table(
        "cases",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("automation", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("arm", sa.Text(), nullable=False),
        sa.Column("control_probability", sa.Numeric(precision=5, scale=4), nullable=False),
        sa.Column("stratum", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("dispatches", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_dispatch_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.CheckConstraint("arm IN ('automated','control')", name=op.f("ck_cases_known_arm")),
        sa.CheckConstraint("state IN ('pending','processing','review','decided','quarantined')", name=op.f("ck_cases_known_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
        sa.UniqueConstraint("tenant_id", "source", "event_id", name=op.f("uq_cases_tenant_id_source_event_id")),
    )
    op.create_index(
        "ix_cases_dispatchable", "cases", ["attempt", "next_dispatch_at"], unique=False, postgresql_where=sa.text("state = 'pending'")
    )
    op.create_index("ix_cases_leased", "cases", ["lease_until"], unique=False, postgresql_where=sa.text("state = 'processing'"))
    op.create_index(
        "ix_cases_open", "cases", ["tenant_id", "automation", "received_at"], unique=False, postgresql_where=sa.text("state <> 'decided'")
    )
    op.create_index("ix_cases_tenant_id_received_at", "cases", ["tenant_id", "received_at", "id"], unique=False)
    op.create_table(
        "conservation_hourly",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("automation", sa.Text(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("duplicate", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("rejected", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("automated", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("human", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("control", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "automation", "hour", name=op.f("pk_conservation_hourly")),
    )
    op.create_table(
        "consumed_ranges",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("first_offset", sa.BigInteger(), nullable=False),
        sa.Column("last_offset", sa.BigInteger(), nullable=False),
        sa.Column("new", sa.Integer(), nullable=False),
        sa.Column("duplicate", sa.Integer(), nullable=False),
        sa.Column("poison", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consumed_ranges")),
    )
    op.create_index(
        op.f("ix_consumed_ranges_topic_partition_last_offset"), "consumed_ranges", ["topic", "partition", "last_offset"], unique=False
    )
    op.create_table(
        "decisions",
        sa.Column("case_id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("automation", sa.Text(), nullable=False),
        sa.Column("arm", sa.Text(), nullable=False),
        sa.Column("stratum", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("adverse", sa.Boolean(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("reasons", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("xid", XID8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.CheckConstraint("NOT adverse OR tier = 'human'", name=op.f("ck_decisions_adverse_needs_a_person")),
        sa.CheckConstraint("arm <> 'control' OR tier = 'human'", name=op.f("ck_decisions_control_needs_a_person")),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_tenant_id_decided_at"), "decisions", ["tenant_id", "decided_at"], unique=False)
    op.create_index(op.f("ix_decisions_xid"), "decisions", ["xid"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("outbox_id", sa.UUID(), nullable=False),
        sa.Column("endpoint_id", sa.UUID(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('pending','sending','delivered','dead')", name=op.f("ck_deliveries_known_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("outbox_id", "endpoint_id", name=op.f("uq_deliveries_outbox_id_endpoint_id")),
    )
    op.create_index(
        "ix_deliveries_due", "deliveries", ["endpoint_id", "next_attempt_at"], unique=False, postgresql_where=sa.text("state = 'pending'")
    )
    op.create_index("ix_deliveries_leased", "deliveries", ["lease_until"], unique=False, postgresql_where=sa.text("state = 'sending'"))
    op.create_index(op.f("ix_deliveries_tenant_id_created_at"), "deliveries", ["tenant_id", "created_at"], unique=False)
    op.create_table(
        "endpoints",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("automations", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'enabled'"), nullable=False),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('enabled','disabled')", name=op.f("ck_endpoints_known_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoints")),
    )
    op.create_index(op.f("ix_endpoints_tenant_id"), "endpoints", ["tenant_id"], unique=False)
    op.create_table(
        "inferences",
        sa.Column("case_id", sa.UUID(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("cpu_ns", sa.BigInteger(), nullable=False),
        sa.Column("wall_ns", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("case_id", "attempt", "position", name=op.f("pk_inferences")),
    )
    op.create_table(
        "intake_batches",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("automation", sa.Text(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received", sa.Integer(), nullable=False),
        sa.Column("duplicate", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("xid", XID8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.CheckConstraint("received >= duplicate + rejected", name=op.f("ck_intake_batches_parts_within_whole")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_intake_batches")),
    )
    op.create_index(op.f("ix_intake_batches_xid"), "intake_batches", ["xid"], unique=False)
    op.create_table(
        "job_runs",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("slot", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_by", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("touched", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("job", "slot", name=op.f("pk_job_runs")),
    )
    op.create_table(
        "ledger_hourly",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("automation", sa.Text(), nullable=False),
        sa.Column("arm", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("grade", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=30, scale=9), nullable=False),
        sa.Column("amount", sa.Numeric(precision=30, scale=10), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "automation", "arm", "kind", "grade", "currency", "hour", name=op.f("pk_ledger_hourly")),
    )
    op.create_table(
        "ledger_leaves",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("leaf_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("entry_id", sa.UUID(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "leaf_index", name=op.f("pk_ledger_leaves")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_ledger_leaves_entry_id")),
    )
    op.create_table(
        "ledger_nodes",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "level", "number", name=op.f("pk_ledger_nodes")),
    )
    op.create_table(
        "ledger_seals",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=True),
        sa.Column("horizon", sa.BigInteger(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(n = 1) = (previous IS NULL)", name=op.f("ck_ledger_seals_all_but_the_first_have_a_previous")),
        sa.PrimaryKeyConstraint("tenant_id", "n", name=op.f("pk_ledger_seals")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.UUID(), nullable=False),
        sa.Column("automation", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("case_id", "kind", name=op.f("uq_outbox_case_id_kind")),
    )
    op.create_index("ix_outbox_unplanned", "outbox", ["created_at"], unique=False, postgresql_where=sa.text("planned_at IS NULL"))
    op.create_index("ix_outbox_unpublished", "outbox", ["created_at"], unique=False, postgresql_where=sa.text("published_at IS NULL"))
    op.create_table(
        "payloads",
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("case_id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("received_at", "case_id", name=op.f("pk_payloads")),
        postgresql_partition_by="RANGE (received_at)",
    )
    op.create_table(
        "poison_records",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=True),
        sa.Column("automation", sa.Text(), nullable=True),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_poison_records")),
        sa.UniqueConstraint("topic", "partition", "offset", name=op.f("uq_poison_records_topic_partition_offset")),
    )
    op.create_table(
        "rates",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("automation", sa.Text(), server_default=sa.text("'*'"), nullable=False),
        sa.Column("value", sa.Numeric(precision=20, scale=8), nullable=False),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("xid", XID8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.CheckConstraint("value >= 0", name=op.f("ck_rates_rate_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rates")),
        sa.UniqueConstraint("tenant_id", "name", "automation", "valid_from", name=op.f("uq_rates_tenant_id_name_automation_valid_from")),
    )
    op.create_index(op.f("ix_rates_xid"), "rates", ["xid"], unique=False)
    op.create_table(
        "review_heartbeats",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("review_id", sa.UUID(), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("active_seconds", sa.Numeric(precision=12, scale=3), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_heartbeats")),
        sa.UniqueConstraint("review_id", "reviewer", "sequence", name=op.f("uq_review_heartbeats_review_id_reviewer_sequence")),
    )
    op.create_index(op.f("ix_review_heartbeats_review_id"), "review_heartbeats", ["review_id"], unique=False)
    op.create_table(
        "reviews",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.UUID(), nullable=False),
        sa.Column("automation", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("round", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'open'"), nullable=False),
        sa.Column("reasons", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("proposal", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claim_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("active_seconds", sa.Numeric(precision=12, scale=3), server_default=sa.text("0"), nullable=False),
        sa.Column("earlier_seconds", sa.Numeric(precision=12, scale=3), server_default=sa.text("0"), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("submitted_by", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("span_seconds", sa.Numeric(precision=12, scale=3), nullable=True),
        sa.Column("booked_seconds", sa.Numeric(precision=12, scale=3), nullable=True),
        sa.CheckConstraint("kind IN ('control','exception','audit')", name=op.f("ck_reviews_known_kind")),
        sa.CheckConstraint("state IN ('open','claimed','submitted','cancelled')", name=op.f("ck_reviews_known_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
        sa.UniqueConstraint("case_id", "kind", "round", name=op.f("uq_reviews_case_id_kind_round")),
    )
    op.create_index("ix_reviews_claimed", "reviews", ["claim_expires_at"], unique=False, postgresql_where=sa.text("state = 'claimed'"))
    op.create_index(
        "ix_reviews_queue",
        "reviews",
        ["tenant_id", "automation", "created_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('open','claimed')"),
    )
    op.create_table(
        "roi_hourly",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("automation", sa.Text(), nullable=False),
        sa.Column("arm", sa.Text(), nullable=False),
        sa.Column("stratum", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cases", sa.BigInteger(), nullable=False),
        sa.Column("human_seconds", sa.Numeric(precision=24, scale=6), nullable=False),
        sa.Column("human_seconds2", sa.Numeric(precision=30, scale=6), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "automation", "arm", "stratum", "tier", "hour", name=op.f("pk_roi_hourly")),
    )
    op.create_table(
        "rollup_horizons",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("horizon", XID8(), nullable=False),
        sa.Column("rolled_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_rollup_horizons")),
    )
    op.create_table(
        "sources",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("mapping", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sources")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_sources_tenant_id_name")),
    )
    op.create_table(
        "tenants",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("simulated", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("time_scale", sa.Numeric(precision=10, scale=3), server_default=sa.text("1"), nullable=False),
        sa.Column("currency", sa.Text(), server_default=sa.text("'EUR'"), nullable=False),
        sa.Column("arm_salt", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_tenants_currency_code")),
        sa.CheckConstraint("id ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name=op.f("ck_tenants_id_is_a_slug")),
        sa.CheckConstraint("simulated OR time_scale = 1", name=op.f("ck_tenants_only_simulated_time_is_scaled")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
    )
    op.create_table(
        "endpoint_secrets",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("endpoint_id", sa.UUID(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name=op.f("fk_endpoint_secrets_endpoint_id_endpoints"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoint_secrets")),
    )
    op.create_index(op.f("ix_endpoint_secrets_endpoint_id"), "endpoint_secrets", ["endpoint_id"], unique=False)
    op.create_table(
        "ledger_lines",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("automation", sa.Text(), nullable=False),
        sa.Column("case_id", sa.UUID(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sequence", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("arm", sa.Text(), nullable=True),
        sa.Column("stratum", sa.Text(), nullable=True),
        sa.Column("quantity", sa.Numeric(precision=20, scale=9), nullable=True),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("amount", sa.Numeric(precision=20, scale=10), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("grade", sa.Text(), nullable=False),
        sa.Column("baseline_id", sa.UUID(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("booked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("reverses", sa.UUID(), nullable=True),
        sa.Column("xid", XID8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.CheckConstraint("(kind = 'reversal') = (reverses IS NOT NULL)", name=op.f("ck_ledger_lines_reversal_names_its_line")),
        sa.CheckConstraint("grade IN ('A','B','C','D')", name=op.f("ck_ledger_lines_known_grade")),
        sa.CheckConstraint(
            "kind IN ('manual_time','review_time','compute','remote_model','error','platform','cash','reversal')",
            name=op.f("ck_ledger_lines_known_kind"),
        ),
        sa.CheckConstraint("(amount IS NULL) = (currency IS NULL)", name=op.f("ck_ledger_lines_amount_has_a_currency")),
        sa.CheckConstraint("(quantity IS NULL) = (unit IS NULL)", name=op.f("ck_ledger_lines_quantity_has_a_unit")),
        sa.CheckConstraint("quantity IS NOT NULL OR amount IS NOT NULL", name=op.f("ck_ledger_lines_says_something")),
        sa.ForeignKeyConstraint(["baseline_id"], ["baselines.id"], name=op.f("fk_ledger_lines_baseline_id_baselines")),
        sa.ForeignKeyConstraint(["reverses"], ["ledger_lines.id"], name=op.f("fk_ledger_lines_reverses_ledger_lines")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_lines")),
        sa.UniqueConstraint("case_id", "kind", "sequence", name=op.f("uq_ledger_lines_case_id_kind_sequence")),
    )
    op.create_index(op.f("ix_ledger_lines_tenant_id_booked_at_id"), "ledger_lines", ["tenant_id", "booked_at", "id"], unique=False)
    op.create_index(op.f("ix_ledger_lines_xid"), "ledger_lines", ["xid"], unique=False)
    op.create_index(
        "uq_ledger_lines_platform_hour",
        "ledger_lines",
        ["tenant_id", "automation", "kind", "occurred_at"],
        unique=True,
        postgresql_where=sa.text("case_id IS NULL AND reverses IS NULL"),
    )
    op.create_table(
        "source_secrets",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("source_id", sa.UUID(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_source_secrets_source_id_sources"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_secrets")),
    )
    op.create_index(op.f("ix_source_secrets_source_id"), "source_secrets", ["source_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_source_secrets_source_id"), table_name="source_secrets")
    op.drop_table("source_secrets")
    op.drop_index(
        "uq_ledger_lines_platform_hour", table_name="ledger_lines", postgresql_where=sa.text("case_id IS NULL AND reverses IS NULL")
    )
    op.drop_index(op.f("ix_ledger_lines_xid"), table_name="ledger_lines")
    op.drop_index(op.f("ix_ledger_lines_tenant_id_booked_at_id"), table_name="ledger_lines")
    op.drop_table("ledger_lines")
    op.drop_index(op.f("ix_endpoint_secrets_endpoint_id"), table_name="endpoint_secrets")
    op.drop_table("endpoint_secrets")
    op.drop_table("tenants")
    op.drop_table("sources")
    op.drop_table("rollup_horizons")
    op.drop_table("roi_hourly")
    op.drop_index("ix_reviews_claimed", table_name="reviews", postgresql_where=sa.text("state = 'claimed'"))
    op.drop_index("ix_reviews_queue", table_name="reviews", postgresql_where=sa.text("state IN ('open','claimed')"))
    op.drop_table("reviews")
    op.drop_index(op.f("ix_review_heartbeats_review_id"), table_name="review_heartbeats")
    op.drop_table("review_heartbeats")
    op.drop_index(op.f("ix_rates_xid"), table_name="rates")
    op.drop_table("rates")
    op.drop_table("poison_records")
    op.drop_table("payloads")
    op.drop_index("ix_outbox_unpublished", table_name="outbox", postgresql_where=sa.text("published_at IS NULL"))
    op.drop_index("ix_outbox_unplanned", table_name="outbox", postgresql_where=sa.text("planned_at IS NULL"))
    op.drop_table("outbox")
    op.drop_table("ledger_seals")
    op.drop_table("ledger_nodes")
    op.drop_table("ledger_leaves")
    op.drop_table("ledger_hourly")
    op.drop_table("job_runs")
    op.drop_index(op.f("ix_intake_batches_xid"), table_name="intake_batches")
    op.drop_table("intake_batches")
    op.drop_table("inferences")
    op.drop_index(op.f("ix_endpoints_tenant_id"), table_name="endpoints")
    op.drop_table("endpoints")
    op.drop_index(op.f("ix_deliveries_tenant_id_created_at"), table_name="deliveries")
    op.drop_index("ix_deliveries_leased", table_name="deliveries", postgresql_where=sa.text("state = 'sending'"))
    op.drop_index("ix_deliveries_due", table_name="deliveries", postgresql_where=sa.text("state = 'pending'"))
    op.drop_table("deliveries")
    op.drop_index(op.f("ix_decisions_xid"), table_name="decisions")
    op.drop_index(op.f("ix_decisions_tenant_id_decided_at"), table_name="decisions")
    op.drop_table("decisions")
    op.drop_index(op.f("ix_consumed_ranges_topic_partition_last_offset"), table_name="consumed_ranges")
    op.drop_table("consumed_ranges")
    op.drop_table("conservation_hourly")
    op.drop_index("ix_cases_tenant_id_received_at", table_name="cases")
    op.drop_index("ix_cases_open", table_name="cases", postgresql_where=sa.text("state <> 'decided'"))
    op.drop_index("ix_cases_leased", table_name="cases", postgresql_where=sa.text("state = 'processing'"))
    op.drop_index("ix_cases_dispatchable", table_name="cases", postgresql_where=sa.text("state = 'pending'"))
    op.drop_table("cases")
    op.drop_table("case_fingerprints")
    op.drop_index(op.f("ix_baselines_tenant_id_automation_valid_from"), table_name="baselines")
    op.drop_index(op.f("ix_baselines_xid"), table_name="baselines")
    op.drop_table("baselines")
    op.drop_table("automation_settings")
    op.drop_index(op.f("ix_audit_log_tenant_id_created_at"), table_name="audit_log")
    op.drop_table("audit_log")
    op.drop_index(op.f("ix_api_keys_tenant_id"), table_name="api_keys")
    op.drop_table("api_keys")
