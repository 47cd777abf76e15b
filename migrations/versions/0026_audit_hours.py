"""What second looks found by hour as well."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def _run(name: str) -> None:
    op.execute(files("migrations").joinpath("sql", name).read_text(encoding="utf-8"))


def upgrade() -> None:
    _run("0026_audit_hours.up.sql")


def downgrade() -> None:
    _run("0026_audit_hours.down.sql")
