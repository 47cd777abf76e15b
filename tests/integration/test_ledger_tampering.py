"""Every way to tamper with a sealed ledger that we know: refused, or found. Who refuses is the database; who finds is `verify`.

As a process (`recoup_api`, `recoup_line`) and as the tables' owner nothing works, so most of this is done by a superuser who has switched
the triggers off and knows how the tree is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege, IntegrityConstraintViolation
from sqlalchemy import create_engine

from shared.db import unit_of_work
from shared.ledger import entries, merkle, tree
from shared.ledger.canonical import Entry
from shared.ledger.verification import verify
from tests.database_sessions import connected
from tests.integration.facts import two_tenants
from tests.ledger_world import add_baseline, add_rate, book_and_seal, found, newest, seal, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Engine

    from tests.conftest import Database

TABLES = ("ledger_lines", "rates", "baselines", "ledger_leaves", "ledger_nodes", "ledger_seals")
LINE = "(SELECT entry_id FROM ledger_leaves WHERE tenant_id = 'acme' AND entry = 'line' ORDER BY leaf_index OFFSET 7 LIMIT 1)"
NEW_LINE = (
    "INSERT INTO ledger_lines (id, tenant_id, automation, kind, amount, currency, grade, occurred_at, booked_at, xid)"
    " VALUES (gen_random_uuid(), 'acme', 'claims', 'cash', 1000000, 'EUR', 'A', now(), {booked}, {xid})"
)
NOW, THIS = "now()", "pg_current_xact_id()"
LONG_AGO = "now() - interval '60 days'"


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """Two tenants; `acme` has over 256 entries, in four seals, the last of which is kept elsewhere."""
    with two_tenants(database) as engine:
        seal(engine)
        add_rate(engine)
        add_baseline(engine)
        book_and_seal(engine, 150, times=2)
        book_and_seal(engine, 20, tenant="other")
        book_and_seal(engine, 5)
        yield engine


@pytest.fixture
def superuser(database: Database, engine: Engine) -> Iterator[psycopg.Connection]:
    """With every trigger off, and no foreign key looked at."""
    with connected(database.admin_url) as connection:
        for table in TABLES:
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL".encode())
        yield connection


def test_a_ledger_that_nobody_touched_verifies(engine: Engine) -> None:
    for tenant in ("acme", "other"):
        outcome = verdict(engine, tenant=tenant, kept=[newest(engine, tenant=tenant)])
        assert (outcome.findings, outcome.waiting) == ([], 0)
    assert verdict(engine).leaves > 256


# Half of the lines, by when they were booked, as an installation would lose them whose ledger is partitioned by time.
DROP_A_PARTITION = """
DO $$ DECLARE half timestamptz;
BEGIN
    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY booked_at) INTO half FROM ledger_lines WHERE tenant_id = 'acme';
    ALTER TABLE ledger_lines RENAME TO whole;
    CREATE TABLE ledger_lines (LIKE whole) PARTITION BY RANGE (booked_at);
    EXECUTE 'CREATE TABLE lines_old PARTITION OF ledger_lines FOR VALUES FROM (MINVALUE) TO (' || quote_literal(half) || ')';
    EXECUTE 'CREATE TABLE lines_new PARTITION OF ledger_lines FOR VALUES FROM (' || quote_literal(half) || ') TO (MAXVALUE)';
    INSERT INTO ledger_lines SELECT * FROM whole;
    DROP TABLE lines_old;
END $$
"""

CHANGES = {
    "edit an amount": (f"UPDATE ledger_lines SET quantity = quantity * 2 WHERE id = {LINE}", {"entry_changed"}),
    "edit a kind": (f"UPDATE ledger_lines SET kind = 'error' WHERE id = {LINE}", {"entry_changed"}),
    "move a line to another case": (f"UPDATE ledger_lines SET case_id = gen_random_uuid() WHERE id = {LINE}", {"entry_changed"}),
    "give a line another id": (f"UPDATE ledger_lines SET id = gen_random_uuid() WHERE id = {LINE}", {"entry_missing", "entry_not_sealed"}),
    "delete a line": (f"DELETE FROM ledger_lines WHERE id = {LINE}", {"entry_missing"}),
    "delete a line and its leaf": (
        (
            "WITH x AS (DELETE FROM ledger_leaves WHERE tenant_id = 'acme' AND leaf_index = 7 RETURNING entry_id)"
            " DELETE FROM ledger_lines WHERE id IN (SELECT entry_id FROM x)"
        ),
        {"leaf_missing", "root_differs", "node_differs"},
    ),
    "delete the last line and its leaf": (
        (
            "WITH x AS (DELETE FROM ledger_leaves WHERE tenant_id = 'acme'"
            "  AND leaf_index = (SELECT max(leaf_index) FROM ledger_leaves WHERE tenant_id = 'acme') RETURNING entry_id)"
            " DELETE FROM ledger_lines WHERE id IN (SELECT entry_id FROM x)"
        ),
        {"leaf_missing"},
    ),
    "reorder two leaves": (
        (
            "UPDATE ledger_leaves f SET entry_id = o.entry_id, hash = o.hash, entry = o.entry FROM ledger_leaves o"
            " WHERE f.tenant_id = 'acme' AND o.tenant_id = 'acme' AND (f.leaf_index, o.leaf_index) IN ((7, 8), (8, 7))"
        ),
        {"root_differs", "node_differs"},
    ),
    "drop a partition": (DROP_A_PARTITION, {"entry_missing"}),
    "truncate the lines": ("TRUNCATE ledger_lines", {"entry_missing"}),
    "truncate the leaves": ("TRUNCATE ledger_leaves", {"leaf_missing", "entry_not_sealed"}),
    "truncate the seals": ("TRUNCATE ledger_seals", {"seal_missing"}),
    "truncate the kept nodes": ("TRUNCATE ledger_nodes", {"node_differs"}),
    "change a kept node": ("UPDATE ledger_nodes SET hash = sha256('x')", {"node_differs"}),
    "give a line to another tenant": (
        f"UPDATE ledger_lines SET tenant_id = 'other' WHERE id = {LINE}",
        {"entry_missing"},
    ),
    "swap the tenants": (
        (
            "WITH a AS (UPDATE ledger_lines SET tenant_id = CASE tenant_id WHEN 'acme' THEN 'other' ELSE 'acme' END),"
            " b AS (UPDATE ledger_leaves SET tenant_id = CASE tenant_id WHEN 'acme' THEN 'x' ELSE 'acme' END),"
            " c AS (UPDATE ledger_nodes SET tenant_id = 'other')"
            " UPDATE ledger_seals SET tenant_id = CASE tenant_id WHEN 'acme' THEN 'y' ELSE 'acme' END"
        ),
        {"entry_changed", "seal_differs"},
    ),
    "change a rate": ("UPDATE rates SET value = value * 3 WHERE tenant_id = 'acme'", {"entry_changed"}),
    "date a rate back": ("UPDATE rates SET valid_from = valid_from - interval '1 year'", {"entry_changed"}),
    "delete a rate": ("DELETE FROM rates WHERE tenant_id = 'acme'", {"entry_missing"}),
    "change a baseline": ("UPDATE baselines SET mean_seconds = mean_seconds + 60", {"entry_changed"}),
    "let a baseline live longer": ("UPDATE baselines SET expires_at = expires_at + interval '1 year'", {"entry_changed"}),
    "insert a line among the sealed": (
        NEW_LINE.format(booked=NOW, xid="(SELECT min(xid::text)::xid8 FROM ledger_lines)"),
        {"entry_not_sealed"},
    ),
    "insert a line that no window will meet": (NEW_LINE.format(booked=NOW, xid="'4000000000000'::xid8"), {"entry_not_sealed"}),
    "change a root": ("UPDATE ledger_seals SET root = sha256('x') WHERE tenant_id = 'acme' AND n = 2", {"root_differs", "seal_differs"}),
    "date a seal back": ("UPDATE ledger_seals SET sealed_at = sealed_at - interval '1 hour' WHERE n = 2", {"seal_differs"}),
    "delete a seal": ("DELETE FROM ledger_seals WHERE tenant_id = 'acme' AND n = 2", {"seal_missing"}),
    "replay an old seal": (
        (
            "INSERT INTO ledger_seals SELECT tenant_id, max(n) OVER () + 1, size, root, previous, horizon, sealed_at FROM ledger_seals"
            " WHERE tenant_id = 'acme' ORDER BY n OFFSET 1 LIMIT 1"
        ),
        {"seal_differs"},
    ),
    "replay another tenant's seal": (
        (
            "INSERT INTO ledger_seals SELECT 'acme', (SELECT max(n) + 1 FROM ledger_seals WHERE tenant_id = 'acme'), size, root, previous,"
            " horizon, sealed_at FROM ledger_seals WHERE tenant_id = 'other' ORDER BY n DESC LIMIT 1"
        ),
        {"seal_differs"},
    ),
}


def test_every_change_that_a_superuser_makes_is_found(engine: Engine, database: Database) -> None:
    missed = {}
    superuser = create_engine(database.admin_url)
    for name, (statement, expected) in CHANGES.items():
        # Each in a transaction of its own that comes to nothing.
        with superuser.connect() as connection, connection.begin() as transaction:
            for table in TABLES:
                connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            connection.exec_driver_sql("ALTER TABLE ledger_leaves DROP CONSTRAINT uq_ledger_leaves_entry_id")
            assert connection.exec_driver_sql(statement).rowcount != 0, name
            seen = {finding.code for finding in verify(connection, "acme").findings}
            transaction.rollback()
        if not expected <= seen:
            missed[name] = seen
    superuser.dispose()
    assert missed == {}
    assert found(engine) == set()


def test_a_superuser_who_rewrites_the_leaf_as_well_is_found(engine: Engine, superuser: psycopg.Connection) -> None:
    superuser.execute(f"UPDATE ledger_lines SET quantity = quantity * 2 WHERE id = {LINE}".encode())
    _rewrite_leaves(engine, superuser)
    assert found(engine) == {"root_differs", "node_differs"}


def test_a_superuser_who_rewrites_everything_is_found_by_a_seal_that_was_kept(engine: Engine, superuser: psycopg.Connection) -> None:
    kept = newest(engine)
    superuser.execute(f"UPDATE ledger_lines SET quantity = quantity * 2 WHERE id = {LINE}".encode())
    superuser.execute("TRUNCATE ledger_leaves, ledger_nodes, ledger_seals")
    superuser.execute("UPDATE rollup_horizons SET horizon = '0' WHERE name = 'seals'")
    seal(engine)
    # Nothing here contradicts anything else here: only what is elsewhere does.
    assert found(engine) == set()
    assert found(engine, kept=[kept]) == {"kept_seal_contradicted"}


def test_seals_of_another_tenant_prove_nothing(engine: Engine) -> None:
    assert found(engine, kept=[newest(engine, tenant="other")]) == {"kept_seal_contradicted"}


def test_a_line_dated_back_is_found_although_it_is_sealed(engine: Engine, superuser: psycopg.Connection) -> None:
    superuser.execute(NEW_LINE.format(booked=LONG_AGO, xid=THIS).encode())
    seal(engine)
    assert found(engine) == {"backdated"}


def test_a_rate_dated_back_is_found_although_it_is_sealed(engine: Engine, superuser: psycopg.Connection) -> None:
    superuser.execute(
        "INSERT INTO rates (id, tenant_id, name, value, currency, valid_from, source, created_at)"
        f" VALUES (gen_random_uuid(), 'acme', 'labour_hour', 90, 'EUR', {LONG_AGO}, 'x', {LONG_AGO})".encode()
    )
    seal(engine)
    assert found(engine) == {"backdated"}


def test_a_line_dated_ahead_is_found_although_it_is_sealed(engine: Engine, superuser: psycopg.Connection) -> None:
    superuser.execute(NEW_LINE.format(booked="now() + interval '1 day'", xid=THIS).encode())
    seal(engine)
    assert found(engine) == {"backdated"}


FORBIDDEN = (
    NEW_LINE.format(booked=LONG_AGO, xid=THIS),
    NEW_LINE.replace(", xid)", ")").replace(", {xid})", ")").format(booked=LONG_AGO),
    NEW_LINE.replace("booked_at, ", "").replace("{booked}, ", "").format(xid="'1'::xid8"),
    (
        "INSERT INTO rates (id, tenant_id, name, value, valid_from, source, created_at)"
        " VALUES (gen_random_uuid(), 'acme', 'x', 1, now(), 'x', now() - interval '1 day')"
    ),
    (
        "INSERT INTO baselines (id, tenant_id, automation, grade, mean_seconds, method, valid_from, expires_at, xid)"
        " VALUES (gen_random_uuid(), 'acme', 'claims', 'D', 1, 'm', now(), now(), '1'::xid8)"
    ),
    *(f"{change} {table}" for table in TABLES for change in ("DELETE FROM", "TRUNCATE", "DROP TABLE")),
    *(f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in TABLES),
    *(f"UPDATE {table} SET tenant_id = 'acme'" for table in TABLES),
    "DROP TABLE payloads_default",
    "ALTER TABLE payloads DETACH PARTITION payloads_default",
    "SET session_replication_role = replica",
)
TREE = tuple(f"INSERT INTO {table} SELECT * FROM {table}" for table in ("ledger_leaves", "ledger_nodes", "ledger_seals"))


@pytest.mark.parametrize(("role", "forbidden"), [("recoup_api", (*FORBIDDEN, *TREE)), ("recoup_line", FORBIDDEN)])
def test_no_process_may_date_back_change_or_remove(engine: Engine, database: Database, role: str, forbidden: Sequence[str]) -> None:
    with connected(database.app_url, role=role) as connection:
        connection.execute("SELECT set_config('app.tenant', 'acme', false)")
        for statement in forbidden:
            with pytest.raises(InsufficientPrivilege):
                connection.execute(statement.encode())


def test_the_owner_is_refused_as_long_as_the_triggers_are_there(engine: Engine, database: Database) -> None:
    with connected(database.admin_url, role="recoup_owner") as connection:
        for table in TABLES:
            for change in (f"UPDATE {table} SET tenant_id = 'x'", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
                with pytest.raises(IntegrityConstraintViolation):
                    connection.execute(change.encode())


def test_a_seal_made_up_by_the_stewards_role_is_found(engine: Engine, database: Database) -> None:
    """That role may append, and nothing else: what it makes up does not fit what is there."""
    with connected(database.app_url, role="recoup_line") as connection:
        connection.execute(
            "INSERT INTO ledger_seals SELECT tenant_id, n + 1, size, sha256('x'), root, horizon, sealed_at FROM ledger_seals"
            " WHERE tenant_id = 'acme' ORDER BY n DESC LIMIT 1"
        )
    assert found(engine) == {"seal_differs", "root_differs"}


def _rewrite_leaves(engine: Engine, superuser: psycopg.Connection) -> None:
    """Make every leaf of `acme` that of the line as it is now."""
    with unit_of_work(engine) as connection:
        leaves = [leaf for leaf in tree.leaves(connection, "acme", start=0, limit=10_000) if leaf.entry is Entry.LINE]
        contents = entries.by_id(connection, "acme", Entry.LINE, [leaf.entry_id for leaf in leaves])
    for leaf in leaves:
        digest = merkle.leaf_hash(contents[leaf.entry_id])
        superuser.execute("UPDATE ledger_leaves SET hash = %s WHERE entry_id = %s", [digest, leaf.entry_id])
