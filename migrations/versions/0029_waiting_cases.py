"""Waiting cases by automation: the steward skips a paused automation as a whole."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_NAME = "ix_cases_waiting"


def upgrade() -> None:
    # The largest table, and intake writes to it meanwhile: built beside writers, which no transaction can do.
    with op.get_context().autocommit_block():
        # It waits for older transactions, a backup for instance, and nobody waits for it: our few seconds of patience are for other locks.
        op.execute("SET lock_timeout = 0")
        # One that was begun and not ended is there, and is of no use.
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
