"""Scores by when they were booked, so that what was known of them at a moment can be told."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def _run(name: str) -> None:
    op.execute(files("migrations").joinpath("sql", name).read_text(encoding="utf-8"))


def upgrade() -> None:
    _run("0023_scores_as_booked.up.sql")


def downgrade() -> None:
    _run("0023_scores_as_booked.down.sql")
