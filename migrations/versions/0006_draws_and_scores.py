"""Draws at intake, and sums of draws, clocks and scores: evidence beside the figures."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0006"
down_revision = "0008"
branch_labels = None
depends_on = None


def _run(name: str) -> None:
    op.execute(files("migrations").joinpath("sql", name).read_text(encoding="utf-8"))


def upgrade() -> None:
    _run("0006_draws_and_scores.up.sql")


def downgrade() -> None:
    _run("0006_draws_and_scores.down.sql")
