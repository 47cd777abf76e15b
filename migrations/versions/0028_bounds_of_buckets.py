"""Buckets hold what the always-valid interval is made of, and months."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def _run(name: str) -> None:
    op.execute(files("migrations").joinpath("sql", name).read_text(encoding="utf-8"))


def upgrade() -> None:
    _run("0028_bounds_of_buckets.up.sql")


def downgrade() -> None:
    _run("0028_bounds_of_buckets.down.sql")
