"""Second looks are summed with 1/probability as well."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def _run(name: str) -> None:
    op.execute(files("migrations").joinpath("sql", name).read_text(encoding="utf-8"))


def upgrade() -> None:
    _run("0027_weighted_looks.up.sql")


def downgrade() -> None:
    _run("0027_weighted_looks.down.sql")
