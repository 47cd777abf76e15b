"""Two years of facts for three tenants, made inside PostgreSQL: cases, decisions, ledger lines and their sums.

Every case is booked in one transaction, so its sums need no history and are added up in one statement; `checking` compares a sample of
them with what the steward's own statement makes of the facts. Sums are stored in the order of time, as a steward stores them that adds
them up while time passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from shared.casework.experiment import MEASURES as EXPERIMENT_MEASURES
from shared.ledger.sums import BUCKET_MEASURES, CASE_MEASURES, LINE_MEASURES

TENANTS = ("bench-1", "bench-2", "bench-3")
AUTOMATIONS = ("claims", "invoices", "complaints")
DAYS = 730
CONTROL = 0.05
# Lines of a mean case: 0.95 automated with compute, of these 45 % with a remote model, 20 % with a person, 10 % with cash; 0.05 manual.
_LINES_PER_CASE = 0.95 * (1 + 0.45 + 0.2 + 0.1) + CONTROL
_PLATFORM_SHARE = 0.015
# Facts are appended in order; their secondary indexes are built once, at the end.
_TABLES = ("cases", "decisions", "ledger_lines")


@dataclass(frozen=True, slots=True)
class Size:
    """How much to load."""

    lines: int

    @property
    def platform_lines(self) -> int:
        return max(9, int(self.lines * _PLATFORM_SHARE))

    @property
    def cases(self) -> int:
        # A little more, so that chance never leaves fewer lines than were asked for.
        return int((self.lines - self.platform_lines) / _LINES_PER_CASE * 1.003) + 30


def load(admin_url: str, size: Size) -> int:
    """Fill an empty, migrated database; returns the number of ledger lines."""
    with psycopg.connect(admin_url.replace("+psycopg", ""), autocommit=True) as connection:
        # The superuser's privileges: no foreign keys are looked up for rows that cannot break them.
        for setting in ("session_replication_role = replica", "synchronous_commit = off", "work_mem = '256MB'", "timezone = 'UTC'"):
            connection.execute(f"SET {setting}".encode())
        connection.execute("SET maintenance_work_mem = '512MB'")
        connection.execute("SELECT setseed(0.5)")
        _tenants(connection)
        connection.execute(_STAGED, {"cases": size.cases, "days": DAYS, "control": CONTROL})
        with _without_secondary_indexes(connection):
            for statement in (_CASES, _DECISIONS, *_LINES):
                connection.execute(statement.encode())
            connection.execute(_PLATFORM.encode(), {"hours": size.platform_lines // 9, "days": DAYS})
        for statement in (
            _FORECASTS,
            _CASE_SUMS,
            _CASE_BUCKETS,
            _LEDGER_SUMS,
            _MONEY_BUCKETS,
            _INTAKE,
            _CONSERVATION,
            _ARRIVALS,
            *(_EXPERIMENT.format(period) for period in ("month", "day", "hour")),
            _SCORES,
            _AUDITS,
            *(_OF_HOURS.format(period) for period in ("month", "day")),
        ):
            connection.execute(statement.encode())
        connection.execute("DROP TABLE staged")
        connection.execute(
            "UPDATE rollup_horizons SET horizon = pg_snapshot_xmax(pg_current_snapshot()), rolled_at = now()"
            " WHERE name IN ('rollups', 'seals', 'evidence', 'audits')"
        )
        connection.execute("VACUUM (ANALYZE)")
        # What was loaded is written to disk now, and not while the first questions are timed.
        connection.execute("CHECKPOINT")
        row = connection.execute("SELECT count(*) FROM ledger_lines").fetchone()
        assert row is not None
        return int(row[0])


def _tenants(connection: psycopg.Connection[Any]) -> None:
    for tenant in TENANTS:
        connection.execute(
            "INSERT INTO tenants (id, name, arm_salt) VALUES (%s, %s, '\\x00112233445566778899aabbccddeeff')", (tenant, tenant)
        )
        connection.execute(
            "INSERT INTO rates (id, tenant_id, name, value, currency, valid_from, source, created_at)"
            " VALUES (gen_random_uuid(), %s, 'labour_hour', 42.5, 'EUR', now() - interval '3 years', 'payroll',"
            " now() - interval '3 years')",
            (tenant,),
        )
        for automation in AUTOMATIONS:
            connection.execute(
                "INSERT INTO automation_settings (tenant_id, automation, control_share) VALUES (%s, %s, %s)", (tenant, automation, CONTROL)
            )


@contextmanager
def _without_secondary_indexes(connection: psycopg.Connection[Any]) -> Iterator[None]:
    found = connection.execute(
        "SELECT i.indexname, i.indexdef FROM pg_indexes i WHERE i.schemaname = 'public' AND i.tablename = ANY(%s)"
        " AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conname = i.indexname)",
        (list(_TABLES),),
    ).fetchall()
    for name, _ in found:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    yield
    for _, definition in found:
        connection.execute(definition.encode())


# One row for each case, in order of time. A case in fifty is booked hours or days after it was decided.
_STAGED = (
    "CREATE UNLOGGED TABLE staged AS"
    " SELECT n, ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS id, 'bench-' || (1 + mod(n, 3)) AS tenant,"
    "  (ARRAY['claims', 'invoices', 'complaints'])[1 + mod(n / 3, 3)] AS automation, 's' || floor(random() * 4)::int AS stratum,"
    "  CASE WHEN random() < %(control)s THEN 'control' ELSE 'automated' END AS arm, random() AS u, random() AS v,"
    "  exp(5.5 + 0.8 * random_normal()) AS manual,"
    "  now() - %(days)s * interval '1 day' + n * (%(days)s * interval '1 day' / %(cases)s) - interval '2 hours' AS decided_at,"
    "  CASE WHEN random() < 0.02 THEN random() * random() * 200 * interval '1 hour' ELSE interval '2 seconds' END AS lateness"
    " FROM generate_series(1, %(cases)s::bigint) n"
)
_BOOKED = "least(decided_at + lateness, now())"
_TIER = "CASE WHEN arm = 'control' OR u < 0.2 THEN 'human' WHEN u < 0.5 THEN 'rules' ELSE 'nano' END"
_CASES = (
    "INSERT INTO cases (id, tenant_id, source, event_id, event_type, automation, body_sha256, arm, control_probability, stratum,"
    " state, attempt, occurred_at, received_at)"
    " SELECT id, tenant, '/bench', lpad(n::text, 9, '0'), 'com.recoup.bench', automation, '\\x00', arm, 0.05, stratum, 'decided', 1,"
    " decided_at - interval '1 minute', decided_at - interval '1 minute' FROM staged ORDER BY n"
)
_DECISIONS = (
    "INSERT INTO decisions (case_id, tenant_id, automation, arm, stratum, source, outcome, adverse, confidence, reasons, attributes,"
    " tier, model_version, decided_by, received_at, decided_at, booked_at)"
    f" SELECT id, tenant, automation, arm, stratum, '/bench', 'pay', false, CASE WHEN {_TIER} <> 'human' THEN 0.97 END, '[]', '{{}}',"
    f" {_TIER},"
    f" CASE WHEN {_TIER} = 'nano' THEN '1.' || (n * 8 / (SELECT max(n) FROM staged))::int END,"
    f" CASE WHEN {_TIER} = 'human' THEN 'person' ELSE 'model' END, decided_at - interval '1 minute', decided_at, {_BOOKED} FROM staged"
    " ORDER BY n"
)


def _line(kind: str, condition: str, quantity: str, amount: str, number: int) -> str:
    unit = {"compute": "'cpu_s'", "remote_model": "'tokens'", "cash": "NULL"}.get(kind, "'s'")
    return (
        "INSERT INTO ledger_lines (id, tenant_id, automation, case_id, kind, sequence, arm, stratum, quantity, unit, amount,"
        " currency, grade, occurred_at, booked_at)"
        f" SELECT ('0000000{number}' || substr(id::text, 9))::uuid, tenant, automation, id, '{kind}', 0, arm, stratum, {quantity}, {unit},"
        f" {amount}, CASE WHEN {amount} IS NOT NULL THEN 'EUR' END, 'A', decided_at, {_BOOKED} FROM staged WHERE {condition} ORDER BY n"
    )


_LINES = (
    _line("compute", "arm = 'automated'", "0.002 + (v / 1000)::numeric(12, 9)", "0.0000002", 1),
    _line("remote_model", "arm = 'automated' AND v < 0.45", "300", "(0.0005 + v / 1000)::numeric(12, 10)", 2),
    _line("review_time", "arm = 'automated' AND u < 0.2", "(manual * 0.6)::numeric(12, 3)", "NULL::numeric", 3),
    _line("manual_time", "arm = 'control'", "manual::numeric(12, 3)", "NULL::numeric", 4),
    _line("cash", "arm = 'automated' AND v > 0.9", "NULL::numeric", "(manual / 10)::numeric(12, 2)", 5),
)
_PLATFORM = (
    "INSERT INTO ledger_lines (id, tenant_id, automation, kind, amount, currency, grade, occurred_at, booked_at)"
    " SELECT gen_random_uuid(), t, a, 'platform', 1.25, 'EUR', 'A', h.hour, h.hour"
    " FROM unnest(ARRAY['bench-1', 'bench-2', 'bench-3']) t, unnest(ARRAY['claims', 'invoices', 'complaints']) a,"
    " (SELECT DISTINCT date_trunc('hour', now() - interval '3 hours' - n * %(days)s * interval '1 day' / %(hours)s) AS hour"
    "  FROM generate_series(0, %(hours)s::bigint - 1) n) h"
)
_FORECASTS = (
    "INSERT INTO forecasts (tenant_id, automation, stratum, since, day, control, intercept, slope)"
    " SELECT DISTINCT tenant_id, automation, stratum, '0'::xid8, now() - interval '2 years', 0, 340, 0 FROM decisions"
)
_SECONDS = "coalesce(CASE WHEN arm = 'control' THEN manual WHEN u < 0.2 THEN manual * 0.6 END::numeric(12, 3), 0)"
_CASE_SUMS = (
    f"INSERT INTO case_sums (tenant_id, grain, period, booked, automation, arm, stratum, tier, source, model_version, share,"
    f" {', '.join(CASE_MEASURES)})"
    " SELECT s.tenant, g.grain, date_trunc(g.grain, s.decided_at), date_trunc(g.grain, s.booked), s.automation, s.arm, s.stratum, s.tier,"
    " '/bench',"
    " s.version, s.share,"
    f" {', '.join(f'sum({expression})' for expression in CASE_MEASURES.values())}"
    f" FROM (SELECT tenant, automation, arm, stratum, {_TIER} AS tier, decided_at, {_BOOKED} AS booked, 0.05 AS share, 0::numeric AS x,"
    f"   CASE WHEN {_TIER} = 'nano' THEN '1.' || (n * 8 / (SELECT max(n) FROM staged))::int ELSE '-' END AS version,"
    f"   340::numeric AS forecast, {_SECONDS} AS seconds, 0::numeric AS late FROM staged) s, LATERAL (SELECT s.seconds, s.late) k,"
    " (VALUES ('hour'), ('day'), ('week'), ('month')) AS g (grain) GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 ORDER BY 3"
)
_LEDGER_SUMS = (
    f"INSERT INTO ledger_sums (tenant_id, grain, period, booked, automation, arm, kind, grade, currency, {', '.join(LINE_MEASURES)})"
    " SELECT l.tenant_id, g.grain, date_trunc(g.grain, l.occurred_at), date_trunc(g.grain, l.booked_at), l.automation,"
    " coalesce(l.arm, '-'),"
    f" l.kind, l.grade, coalesce(l.currency, '-'), {', '.join(LINE_MEASURES.values())}"
    " FROM ledger_lines l, (VALUES ('hour'), ('day'), ('week'), ('month')) AS g (grain) GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9 ORDER BY 3"
)
_CASE_BUCKETS = (
    f"INSERT INTO case_buckets (tenant_id, grain, period, automation, stratum, share, {', '.join(BUCKET_MEASURES)})"
    f" SELECT tenant_id, grain, period, automation, stratum, share, {', '.join(BUCKET_MEASURES.values())} FROM case_sums"
    " GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 3"
)
_MONEY_BUCKETS = (
    "INSERT INTO money_buckets (tenant_id, grain, period, automation, kind, grade, currency, amount)"
    " SELECT tenant_id, grain, period, automation, kind, grade, currency, sum(amount) FROM ledger_sums"
    " WHERE grain <> 'month' AND currency <> '-' GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 3"
)
_INTAKE = (
    "INSERT INTO intake_batches (tenant_id, automation, hour, received, duplicate, rejected, control, automated, share, booked_at)"
    " SELECT tenant_id, automation, date_trunc('hour', received_at), count(*), 0, 0, count(*) FILTER (WHERE arm = 'control'),"
    " count(*) FILTER (WHERE arm = 'automated'), 0.05, date_trunc('hour', received_at) FROM cases GROUP BY 1, 2, 3 ORDER BY 3"
)
_EXPERIMENT = (
    f"INSERT INTO experiment_{{0}}s (tenant_id, automation, share, {{0}}, {', '.join(EXPERIMENT_MEASURES)})"
    " SELECT tenant_id, automation, share, date_trunc('{0}', booked_at), sum(control), sum(automated)"
    f" {', 0' * (len(EXPERIMENT_MEASURES) - 2)} FROM intake_batches GROUP BY 1, 2, 3, 4 ORDER BY 4"
)
_SCORES = (
    "INSERT INTO score_sums (tenant_id, automation, grain, period, tier, model_version, proposed, bin, booked, cases, automatic, reviewed,"
    " reviewed_wrong, auditable, drawn, audited, audited_wrong, weighted_drawn, weighted_audited, weighted_wrong, least)"
    " SELECT tenant, automation, g.grain, date_trunc(g.grain, decided_at), s.tier, s.version, 'outcome_' || floor(v * 4)::int,"
    " CASE WHEN human THEN 20 + floor(50 * v) ELSE 70 + floor(30 * v) END, date_trunc(g.grain, booked), count(*) FILTER (WHERE NOT found),"
    " count(*) FILTER (WHERE automatic), count(*) FILTER (WHERE human), count(*) FILTER (WHERE human AND v < 0.1),"
    " count(*) FILTER (WHERE automatic), count(*) FILTER (WHERE automatic AND v < 0.02), count(*) FILTER (WHERE found), 0,"
    " 50 * count(*) FILTER (WHERE automatic AND v < 0.02), 50 * count(*) FILTER (WHERE found), 0, 0.02"
    " FROM (SELECT staged.*, found, u < 0.2 AS human, NOT (u < 0.2 OR found) AS automatic,"
    f"  CASE WHEN found THEN least(decided_at + interval '3 days', now()) ELSE {_BOOKED} END AS booked,"
    "  CASE WHEN u BETWEEN 0.2 AND 0.5 THEN 'rules' ELSE 'nano' END AS tier,"
    "  CASE WHEN u BETWEEN 0.2 AND 0.5 THEN '-' ELSE '1.' || (n * 8 / (SELECT max(n) FROM staged))::int END AS version"
    # What a second look finds is booked days later.
    "  FROM staged, (VALUES (false), (true)) AS look (found) WHERE arm = 'automated' AND (NOT found OR u >= 0.2 AND v < 0.02)) s,"
    " (VALUES ('day'), ('week'), ('month')) AS g (grain) GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9 ORDER BY 4, 9"
)
# What a second look finds is booked days later, as in `_SCORES`.
_AUDITS = (
    "INSERT INTO audit_hours (tenant_id, automation, hour, decisions, probability, least, drawn, done, weighted_drawn, weighted_done,"
    " weighted_disputed)"
    " SELECT tenant, automation, date_trunc('hour', booked), count(*) FILTER (WHERE NOT found), 0.02 * count(*) FILTER (WHERE NOT found),"
    " 0.02, count(*) FILTER (WHERE NOT found AND v < 0.02), count(*) FILTER (WHERE found),"
    " 50 * count(*) FILTER (WHERE NOT found AND v < 0.02), 50 * count(*) FILTER (WHERE found), 0"
    f" FROM (SELECT staged.*, found, CASE WHEN found THEN least(decided_at + interval '3 days', now()) ELSE {_BOOKED} END AS booked"
    "  FROM staged, (VALUES (false), (true)) AS look (found) WHERE arm = 'automated' AND u >= 0.2 AND (NOT found OR v < 0.02)) s"
    " GROUP BY 1, 2, 3 ORDER BY 3"
)
_OF_HOURS = (
    "INSERT INTO audit_{0}s (tenant_id, automation, {0}, decisions, probability, least, drawn, done, weighted_drawn, weighted_done,"
    " weighted_disputed)"
    " SELECT tenant_id, automation, date_trunc('{0}', hour), sum(decisions), sum(probability), min(least), sum(drawn), sum(done),"
    " sum(weighted_drawn), sum(weighted_done), sum(weighted_disputed)"
    " FROM audit_hours GROUP BY 1, 2, 3 ORDER BY 3"
)
_ARRIVALS = (
    "INSERT INTO arrival_days (tenant_id, automation, day, people)"
    " SELECT tenant_id, automation, date_trunc('day', hour), sum(human + control) FROM conservation_hourly GROUP BY 1, 2, 3 ORDER BY 3"
)
_CONSERVATION = (
    "INSERT INTO conservation_hourly (tenant_id, automation, hour, booked, received, automated, human, control)"
    " SELECT tenant_id, automation, hour, booked, sum(received), sum(automated), sum(human), sum(control) FROM ("
    "  SELECT tenant_id, automation, hour, date_trunc('hour', booked_at) AS booked, received, 0 AS automated, 0 AS human, 0 AS control"
    "  FROM intake_batches"
    "  UNION ALL SELECT tenant_id, automation, date_trunc('hour', received_at), date_trunc('hour', booked_at), 0,"
    "   (arm = 'automated' AND tier <> 'human')::int, (arm = 'automated' AND tier = 'human')::int, (arm = 'control')::int FROM decisions"
    " ) facts GROUP BY 1, 2, 3, 4 ORDER BY 3"
)
