"""When a fixed cost was set, apart from when anything else was."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def _run(name: str) -> None:
    op.execute(files("migrations").joinpath("sql", name).read_text(encoding="utf-8"))


def upgrade() -> None:
    _run("0024_priced_at.up.sql")


def downgrade() -> None:
    _run("0024_priced_at.down.sql")
