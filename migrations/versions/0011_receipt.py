"""In which transaction a case was received: what was known of it before its arm was drawn."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # In two steps, so that the table is not rewritten; of cases that are there already nobody knows it.
    op.execute("ALTER TABLE cases ADD COLUMN xid xid8")
    op.execute("ALTER TABLE cases ALTER COLUMN xid SET DEFAULT pg_current_xact_id()")


def downgrade() -> None:
    op.drop_column("cases", "xid")
