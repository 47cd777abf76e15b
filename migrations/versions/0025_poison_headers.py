"""The headers of records that could not be read, so that one that is replayed is the event that its sender sends again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A constant default rewrites no row. What was buried before has none.
    op.add_column("poison_records", sa.Column("headers", JSONB(), nullable=False, server_default=sa.text("'[]'")))


def downgrade() -> None:
    op.drop_column("poison_records", "headers")
