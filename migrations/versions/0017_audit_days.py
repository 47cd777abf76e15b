"""Sums of second looks by day instead of by hour."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def _run(name: str) -> None:
    op.execute(files("migrations").joinpath("sql", name).read_text(encoding="utf-8"))


def upgrade() -> None:
    _run("0017_audit_days.up.sql")


def downgrade() -> None:
    _run("0017_audit_days.down.sql")
