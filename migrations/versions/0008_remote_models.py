"""Calls of remote models: what they may take, what they took, and what a tenant has spent in a day."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0008"
down_revision = "0005"
branch_labels = None
depends_on = None


def _run(name: str) -> None:
    op.execute(files("migrations").joinpath("sql", name).read_text(encoding="utf-8"))


def upgrade() -> None:
    _run("0008_remote_models.up.sql")


def downgrade() -> None:
    _run("0008_remote_models.down.sql")
