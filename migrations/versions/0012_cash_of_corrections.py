"""What the outcome that a correction brings saves in cash, so that it can be taken back and booked again as facts about it come."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nullable and without a default: no row is rewritten.
    op.add_column("corrections", sa.Column("cash_amount", sa.Numeric(20, 10)))
    op.add_column("corrections", sa.Column("cash_currency", sa.Text()))
    op.create_check_constraint("cash_has_a_currency", "corrections", "(cash_amount IS NULL) = (cash_currency IS NULL)")


def downgrade() -> None:
    op.drop_constraint(op.f("ck_corrections_cash_has_a_currency"), "corrections", type_="check")
    op.drop_column("corrections", "cash_currency")
    op.drop_column("corrections", "cash_amount")
