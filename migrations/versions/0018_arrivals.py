"""Cases that needed a person, by day."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def _run(name: str) -> None:
    op.execute(files("migrations").joinpath("sql", name).read_text(encoding="utf-8"))


def upgrade() -> None:
    _run("0018_arrivals.up.sql")


def downgrade() -> None:
    _run("0018_arrivals.down.sql")
