"""Sums of second looks by the day on which their facts were booked, so that those of an earlier moment can be told."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0013"
down_revision = "0018"
branch_labels = None
depends_on = None


def _run(name: str) -> None:
    op.execute(files("migrations").joinpath("sql", name).read_text(encoding="utf-8"))


def upgrade() -> None:
    _run("0013_audits_as_booked.up.sql")


def downgrade() -> None:
    _run("0013_audits_as_booked.down.sql")
