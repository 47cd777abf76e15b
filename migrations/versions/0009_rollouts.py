"""Versions of models side by side: which one a tenant uses, which one is tried, and what both said."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0009"
down_revision = "0006"
branch_labels = None
depends_on = None


def _run(name: str) -> None:
    op.execute(files("migrations").joinpath("sql", name).read_text(encoding="utf-8"))


def upgrade() -> None:
    _run("0009_rollouts.up.sql")


def downgrade() -> None:
    _run("0009_rollouts.down.sql")
