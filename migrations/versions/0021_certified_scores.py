"""What scores of each installed version of the models were when it was certified, so that drift is held against that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A constant default rewrites no row.
    op.add_column("model_versions", sa.Column("certified_scores", JSONB(), nullable=False, server_default=sa.text("'[]'")))


def downgrade() -> None:
    op.drop_column("model_versions", "certified_scores")
