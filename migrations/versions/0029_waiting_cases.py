"""Waiting cases by automation: the steward skips a paused automation as a whole."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_NAME = "ix_cases_waiting"


_WEIGHTS = {
    "audit_hours": ("weighted_drawn", "weighted_done", "weighted_disputed"),
    "audit_days": ("weighted_drawn", "weighted_done", "weighted_disputed"),
    "audit_months": ("weighted_drawn", "weighted_done", "weighted_disputed"),
    "score_sums": ("weighted_drawn", "weighted_audited"),
}


def upgrade() -> None:
    # As 0027 does since it was first given away: an older steward, which knows no weights, is refused.
    for table, columns in _WEIGHTS.items():
        for column in columns:
            op.alter_column(table, column, server_default=None)
    # The largest table, and intake writes to it meanwhile: built beside writers, which no transaction can do.
    with op.get_context().autocommit_block():
        # It waits for older transactions, a backup for instance, and no writer waits for it: our few seconds of patience are for other locks.
        op.execute("SET lock_timeout = 0")
        # What an attempt that was ended has left may be of no use.
        op.drop_index(_NAME, table_name="cases", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            _NAME,
            "cases",
            ["tenant_id", "automation", "attempt", "next_dispatch_at"],
            postgresql_where=sa.text("state = 'pending'"),
            postgresql_concurrently=True,
        )
        op.execute("SET lock_timeout = '5s'")


def downgrade() -> None:
    op.drop_index(_NAME, table_name="cases")
