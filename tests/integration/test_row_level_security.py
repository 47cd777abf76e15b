"""Two tenants in one database: what PostgreSQL itself lets the APIs' role see and write."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import CheckViolation, ForeignKeyViolation, InsufficientPrivilege, NotNullViolation, UniqueViolation

from tests.ops_desk import Desk, open_desk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Database

WITHOUT_TENANT_COLUMN = {"consumed_ranges", "rollup_horizons", "job_runs", "model_versions", "alembic_version"}
TENANTS = ("acme", "other")


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    with open_desk(database) as desk:
        yield desk


@pytest.fixture
def api(desk: Desk, database: Database) -> Iterator[psycopg.Connection]:
    """A connection as the APIs have it, after every table holds a row of each tenant."""
    for tenant in TENANTS:
        _fill(desk, tenant)
    with psycopg.connect(database.app_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("SET ROLE recoup_api")
        yield connection


def _tables(desk: Desk) -> dict[str, str]:
    """Every table of a tenant, with the column that names it."""
    names = {row["tablename"] for row in desk.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    own = {name for name in names - WITHOUT_TENANT_COLUMN if not name.startswith("payloads_")}
    return {name: "id" if name == "tenants" else "tenant_id" for name in own}


def _fill(desk: Desk, tenant: str) -> None:
    """One row of ``tenant`` in every table, by the table's own column types, without looking at foreign keys."""
    generator = random.Random(tenant)
    with desk.sql.transaction():
        desk.sql.execute("SET LOCAL session_replication_role = replica")
        for table in _tables(desk).keys() - {"tenants"}:
            columns = desk.rows(
                "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s"
                " AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'",
                table,
            )
            values = {c["column_name"]: _value(table, c["column_name"], c["data_type"], generator) for c in columns} | _needed(table)
            _insert(desk.sql, table, values | {"tenant_id": tenant})


def _insert(connection: psycopg.Connection[Any], table: str, values: dict[str, Any]) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, values))
    places = sql.SQL(", ").join(sql.Placeholder() * len(values))
    connection.execute(sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(sql.Identifier(table), names, places), list(values.values()))


def _value(table: str, column: str, kind: str, generator: random.Random) -> object:
    known = {"arm": "control", "kind": "control", "state": "review", "grade": "D", "tier": "human"}
    if table == "ledger_lines" and column == "kind":
        return "cash"
    if column in known:
        return known[column]
    return {
        "uuid": f"{generator.getrandbits(128):032x}",
        "text": f"t{generator.getrandbits(40)}",
        "bytea": b"x",
        "boolean": False,
        "jsonb": "{}",
        "ARRAY": [],
        "xid8": "1",
        "timestamp with time zone": "2026-11-01T00:00:00Z",
        "date": "2026-11-01",
    }.get(kind, 1)


def _needed(table: str) -> dict[str, object]:
    """What a constraint asks for beyond the columns that must not be null."""
    needed: dict[str, dict[str, object]] = {
        "ledger_lines": {"amount": 1, "currency": "EUR"},
        "intake_batches": {"received": 1, "duplicate": 0, "rejected": 0},
        "cases": {"state": "review"},
        "model_rollouts": {"state": "retired"},
        "baseline_evidence": {"origin": "log"},
        "audit_findings": {"wrong": None, "round": 0},
        "outbox": {"subject": "s"},
        "case_outcomes": {"state": "waiting", "result": "refunded", "named_source": "s", "named_event_id": "e"},
        # Of a tenant these rows are what was metered.
        "cpu_meter": {"automation": "claims"},
    }
    return needed.get(table, {})


def _seen(connection: psycopg.Connection, table: str, column: str) -> set[str]:
    statement = sql.SQL("SELECT DISTINCT {} FROM {}").format(sql.Identifier(column), sql.Identifier(table))
    return {row[0] for row in connection.execute(statement).fetchall()}


def _in_acme(connection: psycopg.Connection, act: Callable[[], object]) -> None:
    with connection.transaction():
        _as(connection, "acme")
        act()


def _as(connection: psycopg.Connection, tenant: str) -> None:
    connection.execute("SELECT set_config('app.tenant', %s, true)", (tenant,))


def test_every_table_of_a_tenant_forces_row_level_security_and_belongs_to_nobody_who_logs_in(desk: Desk) -> None:
    rows = desk.rows(
        "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS forced, r.rolname"
        " FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE c.relname = ANY(%s)",
        list(_tables(desk)),
    )
    assert {row["relname"] for row in rows if not row["forced"]} == set()
    assert {row["rolname"] for row in rows} == {"recoup_owner"}


def test_a_tenant_sees_its_own_rows_in_every_table_and_no_others(desk: Desk, api: psycopg.Connection) -> None:
    for tenant in TENANTS:
        with api.transaction():
            _as(api, tenant)
            assert {table: _seen(api, table, column) for table, column in _tables(desk).items()} == {
                table: {tenant} for table in _tables(desk)
            }


@pytest.mark.parametrize("tenant", [None, "", "nobody"])
def test_without_a_tenant_there_is_nothing(desk: Desk, api: psycopg.Connection, tenant: str | None) -> None:
    with api.transaction():
        if tenant is not None:
            _as(api, tenant)
        assert {table: _seen(api, table, column) for table, column in _tables(desk).items()} == {table: set() for table in _tables(desk)}


def test_the_tenant_ends_with_its_transaction(desk: Desk, api: psycopg.Connection) -> None:
    with api.transaction():
        _as(api, "acme")
    assert _seen(api, "cases", "tenant_id") == set()


def test_partitions_of_payloads_cannot_be_read_past_their_parent(desk: Desk, api: psycopg.Connection) -> None:
    partitions = [row["tablename"] for row in desk.rows("SELECT tablename FROM pg_tables WHERE tablename LIKE 'payloads\\_%%'")]
    assert partitions
    for name in partitions:
        with pytest.raises(InsufficientPrivilege):
            api.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(name)))


def test_a_tenant_changes_and_deletes_nothing_of_others(desk: Desk, api: psycopg.Connection) -> None:
    tables = {table: column for table, column in _tables(desk).items() if table != "tenants"}
    before = {table: desk.rows(f"SELECT to_jsonb(t) AS r FROM {table} t WHERE tenant_id = 'other'") for table in tables}
    for table in tables:
        name = sql.Identifier(table)
        for statement in (sql.SQL("UPDATE {} SET tenant_id = tenant_id"), sql.SQL("DELETE FROM {}")):
            _attempt(api, statement.format(name) + sql.SQL(" WHERE tenant_id = 'other'"))
    assert {table: desk.rows(f"SELECT to_jsonb(t) AS r FROM {table} t WHERE tenant_id = 'other'") for table in tables} == before


def _attempt(connection: psycopg.Connection, statement: sql.Composed) -> None:
    """Either the privilege is missing, or no row is there to be touched."""
    try:
        with connection.transaction():
            _as(connection, "acme")
            assert connection.execute(statement).rowcount == 0
    except InsufficientPrivilege:
        pass


def test_a_tenant_plants_no_row_with_others(desk: Desk, api: psycopg.Connection) -> None:
    generator = random.Random("plant")
    for table in _tables(desk).keys() - {"tenants"}:
        columns = desk.rows(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s"
            " AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'",
            table,
        )
        values = {c["column_name"]: _value(table, c["column_name"], c["data_type"], generator) for c in columns} | _needed(table)
        with pytest.raises(InsufficientPrivilege):
            _in_acme(api, partial(_insert, api, table, values | {"tenant_id": "other"}))


def test_no_key_of_another_tenant_can_be_made_to_point_at_ones_own(desk: Desk, api: psycopg.Connection) -> None:
    foreign = desk.rows("SELECT id FROM sources WHERE tenant_id = 'other'")[0]["id"]
    with pytest.raises((InsufficientPrivilege, UniqueViolation, ForeignKeyViolation, NotNullViolation, CheckViolation)):
        _in_acme(api, partial(api.execute, "UPDATE source_secrets SET tenant_id = 'other', source_id = %s", (foreign,)))


def test_what_is_append_only_cannot_be_changed_even_by_its_tenant(desk: Desk, api: psycopg.Connection) -> None:
    for table in ("ledger_lines", "decisions", "audits", "audit_findings", "audit_log", "ledger_seals"):
        for statement in (sql.SQL("UPDATE {} SET tenant_id = tenant_id"), sql.SQL("DELETE FROM {}"), sql.SQL("TRUNCATE {}")):
            with pytest.raises(InsufficientPrivilege):
                _in_acme(api, partial(api.execute, statement.format(sql.Identifier(table))))
