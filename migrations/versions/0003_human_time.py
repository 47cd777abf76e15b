"""Rework of decided cases with its corrections, what a stored baseline rests on, and how far the two clocks of reviews disagree."""

from __future__ import annotations

from importlib.resources import files

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


class XID8(sa.types.UserDefinedType[int]):
    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "XID8"


def _run(name: str) -> None:
    op.execute(files("migrations").joinpath("sql", name).read_text(encoding="utf-8"))


def upgrade() -> None:
    op.create_table(
        "corrections",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.UUID(), nullable=False),
        sa.Column("review_id", sa.UUID(), nullable=False),
        sa.Column("automation", sa.Text(), nullable=False),
        sa.Column("previous_outcome", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("adverse", sa.Boolean(), nullable=False),
        sa.Column("reasons", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("corrected_by", sa.Text(), nullable=False),
        sa.Column("corrected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("xid", XID8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
        sa.UniqueConstraint("review_id", name=op.f("uq_corrections_review_id")),
    )
    op.create_index(op.f("ix_corrections_case_id"), "corrections", ["case_id"], unique=False)
    op.create_index(op.f("ix_corrections_xid"), "corrections", ["xid"], unique=False)
    op.create_table(
        "baseline_evidence",
        sa.Column("baseline_id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("automation", sa.Text(), nullable=False),
        sa.Column("stratum", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("period_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("renews", sa.UUID(), nullable=True),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("origin IN ('log','study','renewal')", name=op.f("ck_baseline_evidence_known_origin")),
        sa.CheckConstraint("(origin = 'renewal') = (renews IS NOT NULL)", name=op.f("ck_baseline_evidence_renewal_names_its_baseline")),
        sa.ForeignKeyConstraint(["baseline_id"], ["baselines.id"], name=op.f("fk_baseline_evidence_baseline_id_baselines")),
        sa.ForeignKeyConstraint(["renews"], ["baselines.id"], name=op.f("fk_baseline_evidence_renews_baselines")),
        sa.PrimaryKeyConstraint("baseline_id", name=op.f("pk_baseline_evidence")),
        sa.UniqueConstraint(
            "tenant_id", "automation", "stratum", "fingerprint", name=op.f("uq_baseline_evidence_tenant_id_automation_stratum_fingerprint")
        ),
    )
    op.create_index(
        "ix_reviews_submitted", "reviews", ["tenant_id", "submitted_at"], unique=False, postgresql_where=sa.text("state = 'submitted'")
    )
    _run("0003_human_time.up.sql")


def downgrade() -> None:
    _run("0003_human_time.down.sql")
    op.drop_index("ix_reviews_submitted", table_name="reviews", postgresql_where=sa.text("state = 'submitted'"))
    op.drop_table("baseline_evidence")
    op.drop_index(op.f("ix_corrections_xid"), table_name="corrections")
    op.drop_index(op.f("ix_corrections_case_id"), table_name="corrections")
    op.drop_table("corrections")
