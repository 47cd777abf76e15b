"""The schema goes up, down and up again; roles and append-only tables are what the rest relies on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from itertools import product
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url
from typer.testing import CliRunner

from migrations.run import app, check_drift, downgrade, upgrade
from shared.release import SCHEMA
from tests.database_sessions import connected
from tests.patience import HANG_SECONDS, eventually
from tests.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.conftest import Database

APPEND_ONLY = (
    *("ledger_lines", "rates", "baselines", "ledger_leaves", "ledger_nodes", "ledger_seals", "decisions", "audit_log"),
    *("corrections", "baseline_evidence", "audits", "audit_findings"),
)
CHANGES = ("UPDATE {} SET tenant_id = 'other'", "DELETE FROM {}", "TRUNCATE {} CASCADE")
TABLES = (
    "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')"
)


def _rows(url: str, statement: str, *values: object) -> Sequence[tuple[Any, ...]]:
    with connected(url) as connection:
        return connection.execute(statement.encode(), values).fetchall()


def test_an_empty_database_comes_up_goes_down_and_comes_up_without_drift(empty_database: Database) -> None:
    for _ in range(2):
        upgrade(empty_database.admin_url)
        check_drift(empty_database.admin_url)
        downgrade(empty_database.admin_url, "base")
        # Alembic keeps its own, empty by then.
        assert _rows(empty_database.admin_url, TABLES) == [(1,)]
    assert _rows(empty_database.admin_url, "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace") == []


def test_a_second_migration_of_a_database_that_is_up_to_date_changes_nothing(database: Database) -> None:
    upgrade(database.admin_url)
    check_drift(database.admin_url)


def test_a_revision_that_there_is_not_gets_one_line(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOUP_DATABASE_ADMIN_URL", database.admin_url)
    for options in (["--revision", "nonsense"], ["--down", "--revision", "nonsense"]):
        done = CliRunner().invoke(app, options)
        assert (done.exit_code, done.stderr, done.stdout) == (1, "Can't locate revision identified by 'nonsense'\n", "")


def test_going_back_and_forth_says_where_the_schema_is(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOUP_DATABASE_ADMIN_URL", database.admin_url)
    done = CliRunner().invoke(app, ["--down", "--revision", "0023"])
    assert (done.exit_code, done.stdout) == (0, "schema is at 0023\n")
    forward = CliRunner().invoke(app, [])
    assert (forward.exit_code, forward.stdout) == (0, f"schema is at {SCHEMA}\n")


def test_two_migrations_of_one_database_wait_for_each_other(empty_database: Database) -> None:
    assert _at_once(empty_database.admin_url, empty_database.admin_url) == [0, 0]
    check_drift(empty_database.admin_url)


def test_a_migration_that_is_killed_between_two_revisions_goes_on_where_it_was(empty_database: Database) -> None:
    url = empty_database.admin_url
    environment = {"RECOUP_DATABASE_ADMIN_URL": url, "PATH": "/usr/bin:/bin"}
    with subprocess.Popen([sys.executable, "-m", "migrations.run"], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + HANG_SECONDS
            while _revision(url) < "0003":
                assert process.poll() is None, "it ended before it was killed"
                assert time.monotonic() < deadline
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL
    # The server goes on with the statement until it finds nobody at the other end; the next one waits for it by the lock.
    upgrade(url, "0003")
    left = _revision(url)
    assert "0003" <= left < SCHEMA
    upgrade(url)
    assert _revision(url) == SCHEMA
    check_drift(url)


def test_an_index_of_the_largest_table_is_built_beside_its_writers(database: Database) -> None:
    """What is left of an attempt that gave up is there, and of no use: it is built anew."""
    url = database.admin_url
    downgrade(url, "0028")
    build = "CREATE INDEX CONCURRENTLY ix_cases_waiting ON cases (tenant_id)"
    waits = (
        "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE NOT l.granted AND l.locktype = 'virtualxid' AND a.datname = current_database()"
    )
    with connected(url) as busy, connected(url) as other:
        with busy.transaction():
            busy.execute("UPDATE cases SET attempt = 0")
            other.execute("SET lock_timeout = '100ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute(build.encode())
            assert _rows(url, _VALID) == [(False,)]
            running = _migration(url)
            # Longer than any patience of the migration's own statements.
            eventually(lambda: _rows(url, waits) == [(1,)])
            second = _migration(url)
            other.execute("UPDATE cases SET attempt = 0")
            time.sleep(6)
            assert (running.poll(), second.poll()) == (None, None)
        assert (running.wait(HANG_SECONDS), second.wait(HANG_SECONDS)) == (0, 0)
    assert _rows(url, _VALID) == [(True,)]
    check_drift(url)


_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('ix_cases_waiting')"


def _revision(url: str) -> str:
    """Empty before the first migration is committed."""
    if _rows(url, "SELECT to_regclass('alembic_version')") == [(None,)]:
        return ""
    return str(next((version for (version,) in _rows(url, "SELECT version_num FROM alembic_version")), ""))


def test_migrations_of_two_databases_on_one_server_do_not_disturb_each_others_roles(
    empty_database: Database, database: Database, app_password: str
) -> None:
    """Both set the password of the one login role; without a lock on the server's roles the later one fails."""
    # A second one watches: within a transaction, who is active is looked up once.
    with connected(database.admin_url) as connection, connected(database.admin_url) as watcher:
        # Holds the roles as a migration does, until both stand before them.
        with connection.transaction():
            connection.execute("COMMENT ON ROLE recoup_owner IS 'held'")
            running = [_migration(url, app_password) for url in (empty_database.admin_url, database.admin_url)]
            _await_waiting(watcher, [empty_database.name, database.name])
        assert [process.wait(HANG_SECONDS) for process in running] == [0, 0]
    assert _rows(database.app_url, "SELECT session_user::text") == [("recoup_app",)]


def _at_once(*urls: str) -> list[int]:
    """Exit statuses. Processes, because alembic keeps the current migration in a module."""
    running = [_migration(url) for url in urls]
    return [process.wait(HANG_SECONDS) for process in running]


def _migration(url: str, app_password: str = "") -> subprocess.Popen[bytes]:
    environment = {"RECOUP_DATABASE_ADMIN_URL": url} | ({"RECOUP_DATABASE_APP_PASSWORD": app_password} if app_password else {})
    return subprocess.Popen([sys.executable, "-m", "migrations.run"], cwd=ROOT, env=environment)


def _await_waiting(connection: psycopg.Connection, databases: list[str]) -> None:
    """Other tests' migrations on this server wait as well."""
    waiting = (
        "SELECT count(DISTINCT a.datname) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE NOT l.granted AND l.classid = 'pg_authid'::regclass AND a.datname = ANY (%s)"
    )
    eventually(lambda: connection.execute(waiting, [databases]).fetchone() == (len(databases),))


def test_roles_have_no_more_rights_than_they_need(database: Database) -> None:
    found = _rows(
        database.admin_url,
        "SELECT rolname, rolcanlogin, rolinherit, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication"
        " FROM pg_roles WHERE rolname LIKE 'recoup%%' ORDER BY rolname",
    )
    assert found == [
        ("recoup_api", False, True, False),
        ("recoup_app", True, False, False),
        ("recoup_line", False, True, False),
        ("recoup_owner", False, True, False),
    ]


def test_the_login_role_may_become_the_api_and_the_line_and_nothing_else(database: Database) -> None:
    found = _rows(
        database.admin_url,
        "SELECT rolname FROM pg_roles WHERE pg_has_role('recoup_app', oid, 'MEMBER') AND rolname <> 'recoup_app' ORDER BY rolname",
    )
    assert found == [("recoup_api",), ("recoup_line",)]


def test_every_table_belongs_to_the_owner_and_forces_row_security_wherever_it_names_a_tenant(database: Database) -> None:
    tenants_tables = (
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
        " AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"
    )
    foreign = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relowner <> 'recoup_owner'::regrole"
    assert _rows(database.admin_url, tenants_tables) == []
    assert _rows(database.admin_url, foreign) == []


def test_no_process_reaches_a_payload_past_row_security_through_its_partition(database: Database) -> None:
    granted = (
        "SELECT c.relname FROM pg_class c, unnest(ARRAY['recoup_api', 'recoup_line', 'recoup_app']) r"
        " WHERE c.relispartition AND c.relkind = 'r' AND has_table_privilege(r, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')"
    )
    assert _rows(database.admin_url, granted) == []


def test_an_administrator_who_is_no_superuser_can_migrate(postgres_admin_url: str, migrated_database: str) -> None:
    """As on managed servers. The roles were made by somebody else, who lets this administrator pass them on."""
    # Roles belong to the server, which other tests look at meanwhile.
    name = f"administrator_{uuid4().hex[:12]}"
    with connected(postgres_admin_url) as connection:
        connection.execute(sql.SQL("CREATE ROLE {0} LOGIN CREATEROLE PASSWORD 'made-up'").format(sql.Identifier(name)))
        for role in ("recoup_owner", "recoup_api", "recoup_line", "recoup_app"):
            connection.execute(sql.SQL("GRANT {} TO {} WITH ADMIN OPTION").format(sql.Identifier(role), sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(sql.Identifier(name)))
    try:
        url = make_url(postgres_admin_url).set(username=name, password="made-up", database=name).render_as_string(hide_password=False)
        upgrade(url)
        check_drift(url)
    finally:
        with connected(postgres_admin_url) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def _fill(url: str) -> None:
    """One row in every append-only table."""
    with connected(url, role="recoup_line") as connection:
        connection.execute(
            "INSERT INTO audit_log (id, tenant_id, actor, action, object_type, object_id) VALUES (%s, 't', 'a', 'b', 'c', 'd')", [uuid4()]
        )
        connection.execute("INSERT INTO ledger_seals (tenant_id, n, size, root, horizon, sealed_at) VALUES ('t', 1, 1, 'r', 1, now())")
        connection.execute("INSERT INTO ledger_nodes (tenant_id, level, number, hash) VALUES ('t', 1, 0, 'h')")
        connection.execute(
            "INSERT INTO ledger_leaves (tenant_id, leaf_index, entry, entry_id, hash) VALUES ('t', 0, 'line', %s, 'h')", [uuid4()]
        )
        connection.execute(
            "INSERT INTO ledger_lines (id, tenant_id, automation, kind, quantity, unit, grade, occurred_at)"
            " VALUES (%s, 't', 'claims', 'platform', 1, 's', 'A', now())",
            [uuid4()],
        )
        connection.execute(
            "INSERT INTO rates (id, tenant_id, name, value, currency, valid_from, source)"
            " VALUES (%s, 't', 'cpu_hour', 1, 'EUR', now(), 's')",
            [uuid4()],
        )
        baseline = uuid4()
        connection.execute(
            "INSERT INTO baselines (id, tenant_id, automation, grade, mean_seconds, method, valid_from, expires_at)"
            " VALUES (%s, 't', 'claims', 'D', 1, 'm', now(), now())",
            [baseline],
        )
        connection.execute(
            "INSERT INTO baseline_evidence (baseline_id, tenant_id, automation, stratum, origin, detail)"
            " VALUES (%s, 't', 'claims', '*', 'log', '{}')",
            [baseline],
        )
        connection.execute(
            "INSERT INTO corrections (id, tenant_id, case_id, review_id, automation, previous_outcome, outcome, adverse, reasons,"
            " attributes, corrected_by, corrected_at)"
            " VALUES (%s, 't', %s, %s, 'claims', 'pay', 'adjuster', false, '[]', '{}', 'ada', now())",
            [uuid4(), uuid4(), uuid4()],
        )
        connection.execute(
            "INSERT INTO audits (case_id, tenant_id, automation, stratum, probability, least, outcome, tier, decided_at)"
            " VALUES (%s, 't', 'claims', 'all', 0.02, 0.02, 'pay', 'nano', now())",
            [uuid4()],
        )
        connection.execute(
            "INSERT INTO audit_findings (case_id, round, tenant_id, automation, review_id, outcome, wrong, reviewer)"
            " VALUES (%s, 0, 't', 'claims', %s, 'pay', false, 'r')",
            [uuid4(), uuid4()],
        )
        connection.execute(
            "INSERT INTO decisions (case_id, tenant_id, automation, arm, stratum, source, outcome, adverse, reasons, attributes, tier,"
            " decided_by, received_at, decided_at)"
            " VALUES (%s, 't', 'claims', 'automated', 'all', '/erp', 'pay', false, '[]', '{}', 'rules', 'model', now(), now())",
            [uuid4()],
        )


@pytest.mark.parametrize("role", ["recoup_api", "recoup_line", "recoup_owner", "postgres"])
@pytest.mark.parametrize("replication_role", ["origin", "replica"])
def test_nobody_changes_what_is_append_only(database: Database, role: str, replication_role: str) -> None:
    _fill(database.admin_url)
    with connected(database.admin_url) as connection:
        connection.execute(f"SET session_replication_role = {replication_role}".encode())
        connection.execute(f"SET ROLE {role}".encode())
        connection.execute("SELECT set_config('app.tenant', 't', false)")
        for table, change in product(APPEND_ONLY, CHANGES):
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.IntegrityConstraintViolation)):
                connection.execute(change.format(table).encode())
    for table in APPEND_ONLY:
        assert _rows(database.admin_url, f"SELECT tenant_id FROM {table}") == [("t",)]


def _bounds(url: str) -> dict[str, str]:
    """Partition to its bounds as PostgreSQL shows them in UTC."""
    statement = "SELECT relname, pg_get_expr(relpartbound, oid) FROM pg_class WHERE relispartition AND relkind = 'r' ORDER BY relname"
    with connected(url) as connection:
        connection.execute("SET timezone = 'UTC'")
        return dict(connection.execute(statement).fetchall())


def _expected(url: str, months: int) -> dict[str, str]:
    statement = (
        "SELECT 'payloads_' || to_char(m, 'YYYYMM'),"
        " format('FOR VALUES FROM (''%%s+00'') TO (''%%s+00'')', m, m + interval '1 month')"
        " FROM generate_series(date_trunc('month', now() AT TIME ZONE 'UTC'),"
        " date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => %s), '1 month') m"
    )
    return {**dict(_rows(url, statement, months)), "payloads_default": "DEFAULT"}


@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati"])
def test_payload_partitions_are_whole_months_in_utc_whatever_the_servers_time_zone(empty_database: Database, timezone: str) -> None:
    with connected(empty_database.admin_url) as connection:
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET timezone = {}").format(sql.Identifier(empty_database.name), sql.Literal(timezone))
        )
    upgrade(empty_database.admin_url)
    with connected(empty_database.admin_url, role="recoup_line") as connection:
        assert connection.execute("SELECT ensure_payload_partitions(24)").fetchone() == (21,)
    assert _bounds(empty_database.admin_url) == _expected(empty_database.admin_url, 24)


# As the migration made them, which may have run the month before.
PARTITIONS_OF_THIS_MONTH = "SELECT ensure_payload_partitions(3)"


def test_ensuring_partitions_twice_makes_them_once(database: Database) -> None:
    with connected(database.app_url, role="recoup_line") as connection:
        connection.execute(PARTITIONS_OF_THIS_MONTH)
        made = [connection.execute("SELECT ensure_payload_partitions(5)").fetchone() for _ in range(2)]
    assert made == [(2,), (0,)]
    assert _bounds(database.admin_url) == _expected(database.admin_url, 5)


def test_only_the_line_makes_partitions(database: Database) -> None:
    with connected(database.app_url, role="recoup_api") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT ensure_payload_partitions(5)")


def _add_payload(url: str, received_at: str) -> str:
    """Returns the partition that it fell into."""
    statement = (
        f"INSERT INTO payloads (received_at, case_id, tenant_id, body) VALUES ({received_at}, %s, 't', '')"
        " RETURNING tableoid::regclass::text"
    )
    with connected(url, role="recoup_line") as connection:
        row = connection.execute(statement.encode(), [uuid4()]).fetchone()
    assert row is not None
    return str(row[0])


def test_a_payload_falls_into_the_month_of_its_receipt_to_the_last_microsecond(database: Database) -> None:
    month = "date_trunc('month', now(), 'UTC')"
    first, last, next_first = (
        _add_payload(database.admin_url, at)
        for at in (month, f"{month} + interval '1 month' - interval '1 microsecond'", f"{month} + interval '1 month'")
    )
    ((this,), (following,)) = _rows(
        database.admin_url,
        "SELECT 'payloads_' || to_char(now() AT TIME ZONE 'UTC' + make_interval(months => n), 'YYYYMM') FROM generate_series(0, 1) n",
    )
    assert (first, last, next_first) == (this, this, following)


def test_a_payload_of_a_month_without_partition_is_kept_and_does_not_stop_later_months(database: Database) -> None:
    assert _add_payload(database.admin_url, "now() + interval '5 months'") == "payloads_default"
    with connected(database.app_url, role="recoup_line") as connection:
        connection.execute(PARTITIONS_OF_THIS_MONTH)
        # Of months 4 to 7 the fifth is occupied.
        assert connection.execute("SELECT ensure_payload_partitions(7)").fetchone() == (3,)
    assert _rows(database.admin_url, "SELECT count(*) FROM payloads") == [(1,)]
