"""Sums by hour, day and week that say nothing of bookings."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0019"
down_revision = "0013"
branch_labels = None
depends_on = None


def _run(name: str) -> None:
    op.execute(files("migrations").joinpath("sql", name).read_text(encoding="utf-8"))


def upgrade() -> None:
    _run("0019_buckets.up.sql")


def downgrade() -> None:
    _run("0019_buckets.down.sql")
