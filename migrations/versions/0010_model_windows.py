"""What each model said day by day, and how far that is from its first days."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0010"
down_revision = "0007"
branch_labels = None
depends_on = None


def _run(name: str) -> None:
    op.execute(files("migrations").joinpath("sql", name).read_text(encoding="utf-8"))


def upgrade() -> None:
    _run("0010_model_windows.up.sql")


def downgrade() -> None:
    _run("0010_model_windows.down.sql")
