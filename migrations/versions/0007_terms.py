"""What a tenant sets for the tiers of an automation: the error level, and what one case may take in time and money."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0009"
branch_labels = None
depends_on = None

_CHECKS = {
    "error_level_is_a_rate": "error_level > 0 AND error_level < 1",
    "budget_seconds_not_negative": "budget_seconds >= 0",
    "budget_money_not_negative": "budget_money >= 0",
}


def upgrade() -> None:
    # Nullable and without a default: no row is rewritten.
    op.add_column("automation_settings", sa.Column("error_level", sa.Numeric(5, 4)))
    op.add_column("automation_settings", sa.Column("budget_seconds", sa.Numeric(9, 3)))
    op.add_column("automation_settings", sa.Column("budget_money", sa.Numeric(18, 8)))
    for name, condition in _CHECKS.items():
        op.create_check_constraint(name, "automation_settings", condition)


def downgrade() -> None:
    for name in _CHECKS:
        op.drop_constraint(op.f(f"ck_automation_settings_{name}"), "automation_settings", type_="check")
    for column in ("error_level", "budget_seconds", "budget_money"):
        op.drop_column("automation_settings", column)
