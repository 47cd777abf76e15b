"""Who may do what: grants, forced row-level security, append-only triggers, payload partitions, lookups before a tenant is known."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _run(name: str) -> None:
    op.execute(files("migrations").joinpath("sql", name).read_text(encoding="utf-8"))


def upgrade() -> None:
    _run("0002_isolation.up.sql")


def downgrade() -> None:
    _run("0002_isolation.down.sql")
