"""What is asked for since the beginning, by month as well."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def _run(name: str) -> None:
    op.execute(files("migrations").joinpath("sql", name).read_text(encoding="utf-8"))


def upgrade() -> None:
    _run("0022_months.up.sql")


def downgrade() -> None:
    _run("0022_months.down.sql")
