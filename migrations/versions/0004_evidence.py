"""What a figure rests on beyond the ledger: audits, brakes, late outcomes, corrected rates, CPU time outside of cases, further messages."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _run(name: str) -> None:
    op.execute(files("migrations").joinpath("sql", name).read_text(encoding="utf-8"))


def upgrade() -> None:
    _run("0004_evidence.up.sql")


def downgrade() -> None:
    _run("0004_evidence.down.sql")
