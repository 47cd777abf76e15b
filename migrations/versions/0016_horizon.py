"""The horizon of sums as a function that the planner can look into."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def _run(name: str) -> None:
    op.execute(files("migrations").joinpath("sql", name).read_text(encoding="utf-8"))


def upgrade() -> None:
    _run("0016_horizon.up.sql")


def downgrade() -> None:
    _run("0016_horizon.down.sql")
