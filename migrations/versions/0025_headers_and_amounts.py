"""The headers of records that could not be read, so that one that is replayed is the event that its sender sends again; and amounts as
large as the doors let in, where a line of the ledger held ten digits before the point.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_AMOUNTS = (("ledger_lines", "amount"), ("corrections", "cash_amount"), ("remote_calls", "amount"), ("remote_spend", "committed"))


def upgrade() -> None:
    # A constant default rewrites no row. What was buried before has none.
    op.add_column("poison_records", sa.Column("headers", JSONB(), nullable=False, server_default=sa.text("'[]'")))
    # More digits at the same scale rewrite no row either, and are the same text to the seals.
    for table, column in _AMOUNTS:
        op.alter_column(table, column, type_=sa.Numeric(30, 10))


def downgrade() -> None:
    # Fails where an amount has come in that does not fit any more: rather that than a ledger that says something else.
    for table, column in _AMOUNTS:
        op.alter_column(table, column, type_=sa.Numeric(20, 10))
    op.drop_column("poison_records", "headers")
