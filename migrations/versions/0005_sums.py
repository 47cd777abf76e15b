"""Sums by hour, day and month that remember when their facts were booked, so that figures can be asked as known at an earlier moment."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _run(name: str) -> None:
    op.execute(files("migrations").joinpath("sql", name).read_text(encoding="utf-8"))


def upgrade() -> None:
    _run("0005_sums.up.sql")


def downgrade() -> None:
    _run("0005_sums.down.sql")
