"""Sums by week as well, added up from those by day: two years of weeks were two years of days."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0012"
branch_labels = None
depends_on = None

_WEEK = "date_trunc('week', {0}, 'UTC')"
# By table: its key between the period and the measures, its sums, and what is not summed but the least of all.
_TABLES = {
    "case_sums": (
        ("booked", "automation", "arm", "stratum", "tier", "source", "model_version", "share"),
        (
            "cases",
            "human_seconds",
            "human_seconds2",
            "late_seconds",
            "covariate",
            "covariate2",
            "covariate_seconds",
            "gain",
            "gain_variance",
        ),
        (),
    ),
    "ledger_sums": (
        ("booked", "automation", "arm", "kind", "grade", "currency"),
        ("lines", "quantity", "amount", "reversed"),
        (),
    ),
    "score_sums": (
        ("automation", "tier", "model_version", "proposed", "bin"),
        ("cases", "automatic", "reviewed", "reviewed_wrong", "auditable", "drawn", "audited", "audited_wrong", "weighted_wrong"),
        ("least",),
    ),
}


def upgrade() -> None:
    for table, (key, sums, least) in _TABLES.items():
        columns = ", ".join(("tenant_id", "grain", "period", *key, *sums, *least))
        kept = ", ".join(_WEEK.format(name) if name == "booked" else name for name in key)
        measures = ", ".join([*(f"sum({name})" for name in sums), *(f"min({name})" for name in least)])
        places = ", ".join(str(place) for place in range(1, len(key) + 4))
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(
            f"INSERT INTO {table} ({columns}) SELECT tenant_id, 'week', {_WEEK.format('period')}, {kept}, {measures}"  # noqa: S608  # constants
            f" FROM {table} WHERE grain = 'day' GROUP BY {places}"
        )
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"DELETE FROM {table} WHERE grain = 'week'")  # noqa: S608  # constants
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
