"""No process works on a database that breaks isolation or forgets commits, and nothing of one transaction reaches the next."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from prometheus_client import REGISTRY
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import NullPool

from services.supervisor.embedded.postgres import Postgres
from shared.db import engine_for, refuse_unsafe_database, unit_of_work
from shared.db.safety import UnsafeDatabase
from shared.db.unit_of_work import DatabaseUnavailable
from shared.settings import DatabaseSettings
from tests.database_sessions import connected
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from tests.conftest import Database

COUNT = text("SELECT count(*) FROM tenants")
PROCESS_ID = text("SELECT pg_backend_pid()")


@contextmanager
def _engine(url: str, **values: object) -> Iterator[Engine]:
    """As a process of the API has it."""
    settings = DatabaseSettings.model_validate({"url": SecretStr(url), "pool_size": 1, **values})
    engine = engine_for(settings, role="recoup_api", application="test")
    yield engine
    engine.dispose()


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """One connection, so that every transaction gets the one before it."""
    with connected(database.admin_url) as connection:
        for tenant in ("a", "b"):
            connection.execute("INSERT INTO tenants (id, name, arm_salt) VALUES (%s, 'x', 'x')", [tenant])
    with _engine(database.app_url) as found:
        yield found


@contextmanager
def _login(database: Database, attributes: str) -> Iterator[str]:
    """URL of a login role of this test alone that may act as the API."""
    name, password = f"test_{secrets.token_hex(6)}", secrets.token_hex(8)
    identifier = sql.Identifier(name)
    with connected(database.admin_url) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} {}").format(identifier, sql.Literal(password), sql.SQL(attributes)))
        connection.execute(sql.SQL("GRANT recoup_api TO {}").format(identifier))
    try:
        yield make_url(database.admin_url).set(username=name, password=password).render_as_string(hide_password=False)
    finally:
        with connected(database.admin_url) as connection:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(identifier))
            connection.execute(sql.SQL("DROP ROLE {}").format(identifier))


def test_the_login_role_of_the_processes_is_accepted(database: Database) -> None:
    for role in ("recoup_api", "recoup_line"):
        engine = engine_for(DatabaseSettings(url=SecretStr(database.app_url)), role=role, application="test")
        refuse_unsafe_database(engine)
        engine.dispose()


@pytest.mark.parametrize("attributes", ["SUPERUSER", "BYPASSRLS", "IN ROLE recoup_owner", "NOINHERIT IN ROLE recoup_owner"])
def test_a_login_that_is_or_may_become_too_powerful_is_refused(database: Database, attributes: str) -> None:
    with _login(database, attributes) as url, _engine(url) as engine, pytest.raises(UnsafeDatabase):
        refuse_unsafe_database(engine)


def test_a_login_that_owns_one_table_is_refused(database: Database) -> None:
    with _login(database, "") as url:
        name = make_url(url).username
        assert name is not None
        with connected(database.admin_url) as connection:
            connection.execute("CREATE TABLE mine (n int)")
            connection.execute(sql.SQL("ALTER TABLE mine OWNER TO {}").format(sql.Identifier(name)))
        with _engine(url) as engine, pytest.raises(UnsafeDatabase, match="owns tables"):
            refuse_unsafe_database(engine)


def test_an_engine_acting_as_the_owner_is_refused(database: Database) -> None:
    engine = create_engine(database.admin_url, connect_args={"options": "-c role=recoup_owner"}, poolclass=NullPool)
    with pytest.raises(UnsafeDatabase):
        refuse_unsafe_database(engine)


@pytest.mark.parametrize("value", ["off", "local"])
def test_a_session_that_does_not_wait_for_the_disk_is_refused(database: Database, value: str) -> None:
    engine = create_engine(
        database.app_url, connect_args={"options": f"-c role=recoup_api -c synchronous_commit={value}"}, poolclass=NullPool
    )
    with pytest.raises(UnsafeDatabase, match="synchronous_commit"):
        refuse_unsafe_database(engine)


def test_a_server_that_may_lose_commits_is_refused(careless_server: Postgres) -> None:
    url = careless_server.url_of("recoup_app", "made-up", "postgres")
    with connected(careless_server.url) as connection, _engine(url) as engine:
        connection.execute("CREATE ROLE recoup_api")
        connection.execute("CREATE ROLE recoup_app LOGIN PASSWORD 'made-up' IN ROLE recoup_api")
        refuse_unsafe_database(engine)
        for setting in ("fsync", "full_page_writes"):
            _change_server(connection, sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)), setting, "off")
            engine.dispose()
            with pytest.raises(UnsafeDatabase, match=setting):
                refuse_unsafe_database(engine)
            _change_server(connection, sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(setting)), setting, "on")


@pytest.fixture
def careless_server(tmp_path: Path) -> Iterator[Postgres]:
    """A server of its own: the shared one must stay safe for whoever starts meanwhile."""
    server = Postgres(tmp_path)
    server.start()
    yield server
    server.stop()


def _change_server(connection: psycopg.Connection, change: sql.Composed, setting: str, expected: str) -> None:
    """The reload reaches a session between two of its statements, at some moment after the signal."""
    connection.execute(change)
    connection.execute("SELECT pg_reload_conf()")
    for _ in range(200):
        if connection.execute(sql.SQL("SELECT current_setting({}), pg_sleep(0.02)").format(sql.Literal(setting))).fetchone() == (
            expected,
            "",
        ):
            return
    pytest.fail(f"the server did not take over {setting}")


def test_a_role_that_is_set_to_asynchronous_commits_still_commits_to_disk(database: Database) -> None:
    with _login(database, "") as url:
        with connected(database.admin_url) as connection:
            name = sql.Identifier(make_url(url).username or "")
            connection.execute(sql.SQL("ALTER ROLE {} SET synchronous_commit = off").format(name))
        with _engine(url) as engine:
            refuse_unsafe_database(engine)
            with unit_of_work(engine) as connection_:
                assert connection_.execute(text("SHOW synchronous_commit")).scalar_one() == "on"


def test_a_unit_of_work_commits_when_it_ends_and_rolls_back_when_it_raises(engine: Engine) -> None:
    insert = text(
        "INSERT INTO rates (id, tenant_id, name, value, valid_from, source) VALUES (gen_random_uuid(), 'a', :name, 1, now(), 'x')"
    )
    with unit_of_work(engine, tenant="a") as connection:
        connection.execute(insert, {"name": "kept"})
    with pytest.raises(ZeroDivisionError), unit_of_work(engine, tenant="a") as connection:
        assert connection.execute(insert, {"name": "lost"}).rowcount / 0
    with unit_of_work(engine, tenant="a") as connection:
        assert connection.execute(text("SELECT name FROM rates")).scalars().all() == ["kept"]


def test_a_tenant_is_forgotten_with_its_transaction(engine: Engine) -> None:
    with unit_of_work(engine, tenant="a") as connection:
        assert connection.execute(COUNT).scalar_one() == 1
        first = connection.execute(PROCESS_ID).scalar_one()
    with unit_of_work(engine) as connection:
        assert connection.execute(PROCESS_ID).scalar_one() == first, "not the same connection: the test shows nothing"
        assert connection.execute(COUNT).scalar_one() == 0
    with unit_of_work(engine, tenant="b") as connection:
        assert connection.execute(text("SELECT id FROM tenants")).scalars().all() == ["b"]


def test_a_tenant_is_forgotten_with_a_transaction_that_failed(engine: Engine) -> None:
    with pytest.raises(IntegrityError), unit_of_work(engine, tenant="a") as connection:
        connection.execute(text("INSERT INTO baselines (id, tenant_id, automation, grade, mean_seconds, method, valid_from, expires_at)"
                                " VALUES (gen_random_uuid(), 'a', 'claims', 'X', 1, 'm', now(), now())"))  # fmt: skip
    with unit_of_work(engine) as connection:
        assert connection.execute(COUNT).scalar_one() == 0


def test_the_api_neither_sees_nor_writes_what_belongs_to_another_tenant(engine: Engine) -> None:
    with unit_of_work(engine, tenant="a") as connection:
        assert connection.execute(text("SELECT id FROM tenants")).scalars().all() == ["a"]
    insert = text("INSERT INTO rates (id, tenant_id, name, value, valid_from, source) VALUES (gen_random_uuid(), 'b', 'x', 1, now(), 'x')")
    with pytest.raises(Exception, match="row-level security"), unit_of_work(engine, tenant="a") as connection:
        connection.execute(insert)


def test_a_snapshot_sees_one_moment_and_the_next_transaction_does_not_inherit_that(engine: Engine, database: Database) -> None:
    isolation = text("SHOW transaction_isolation")
    rename = "UPDATE tenants SET name = name || '+' WHERE id = 'a'"
    name = text("SELECT name FROM tenants")
    with unit_of_work(engine, tenant="a", snapshot=True) as connection, connected(database.admin_url) as other:
        assert connection.execute(isolation).scalar_one() == "repeatable read"
        process = connection.execute(PROCESS_ID).scalar_one()
        before = connection.execute(name).scalar_one()
        other.execute(rename)
        assert connection.execute(name).scalar_one() == before
    with unit_of_work(engine, tenant="a") as connection, connected(database.admin_url) as other:
        assert connection.execute(PROCESS_ID).scalar_one() == process
        assert connection.execute(isolation).scalar_one() == "read committed"
        assert connection.execute(name).scalar_one() == "x+"
        other.execute(rename)
        assert connection.execute(name).scalar_one() == "x++"


def test_settings_of_a_transaction_end_with_it(engine: Engine) -> None:
    mode = text("SELECT current_setting('plan_cache_mode'), current_setting('app.tenant', true)")
    with unit_of_work(engine, tenant="a", settings={"plan_cache_mode": "force_generic_plan"}) as connection:
        process = connection.execute(PROCESS_ID).scalar_one()
        assert tuple(connection.execute(mode).one()) == ("force_generic_plan", "a")
    with unit_of_work(engine) as connection:
        assert connection.execute(PROCESS_ID).scalar_one() == process
        assert tuple(connection.execute(mode).one()) == ("auto", "")


def test_a_connection_lost_in_the_middle_is_an_outage_and_the_next_transaction_works(engine: Engine, database: Database) -> None:
    with pytest.raises(DatabaseUnavailable), unit_of_work(engine, tenant="a") as connection:
        _ask_after_the_end(connection, database)
    with unit_of_work(engine, tenant="a") as connection:
        assert connection.execute(COUNT).scalar_one() == 1


def _ask_after_the_end(connection: Connection, database: Database) -> None:
    _terminate(database, connection.execute(PROCESS_ID).scalar_one())
    connection.execute(COUNT)


def test_a_connection_lost_before_the_commit_is_an_outage(engine: Engine, database: Database) -> None:
    with pytest.raises(DatabaseUnavailable), unit_of_work(engine, tenant="a") as connection:
        _terminate(database, connection.execute(PROCESS_ID).scalar_one())


def test_a_connection_that_died_while_it_waited_in_the_pool_is_replaced_unnoticed(engine: Engine, database: Database) -> None:
    with unit_of_work(engine, tenant="a") as connection:
        process = connection.execute(PROCESS_ID).scalar_one()
    _terminate(database, process)
    with unit_of_work(engine, tenant="a") as connection:
        assert connection.execute(PROCESS_ID).scalar_one() != process


def _terminate(database: Database, process: int) -> None:
    with connected(database.admin_url) as connection:
        assert connection.execute("SELECT pg_terminate_backend(%s, 5000)", [process]).fetchone() == (True,)


def test_a_database_that_is_not_there_is_an_outage() -> None:
    with (
        _engine(f"postgresql+psycopg://recoup_app:x@127.0.0.1:{free_port()}/recoup") as engine,
        pytest.raises(DatabaseUnavailable),
        unit_of_work(engine),
    ):
        pytest.fail("there is no database")


def test_a_pool_without_a_free_connection_is_an_outage_within_seconds(engine: Engine) -> None:
    with unit_of_work(engine), pytest.raises(DatabaseUnavailable), unit_of_work(engine):
        pytest.fail("the only connection was taken")


def test_a_statement_that_runs_too_long_is_given_up(database: Database) -> None:
    with (
        _engine(database.app_url, statement_timeout=timedelta(milliseconds=50)) as engine,
        pytest.raises(DatabaseUnavailable),
        unit_of_work(engine) as connection,
    ):
        connection.execute(text("SELECT pg_sleep(30)"))


def _outages() -> dict[str, float]:
    return {
        why: REGISTRY.get_sample_value("recoup_database_unavailable_total", {"why": why}) or 0
        for why in ("pool", "connection", "statement")
    }


def test_outages_are_counted_by_what_was_missing(engine: Engine, database: Database) -> None:
    before = _outages()
    with unit_of_work(engine), pytest.raises(DatabaseUnavailable), unit_of_work(engine):
        pytest.fail("the only connection was taken")
    with pytest.raises(DatabaseUnavailable), unit_of_work(engine, tenant="a") as connection:
        _ask_after_the_end(connection, database)
    nowhere = f"postgresql+psycopg://recoup_app:x@127.0.0.1:{free_port()}/recoup"
    with _engine(nowhere) as other, pytest.raises(DatabaseUnavailable), unit_of_work(other):
        pytest.fail("there is no database")
    quick = _engine(database.app_url, statement_timeout=timedelta(milliseconds=50))
    with quick as other, pytest.raises(DatabaseUnavailable), unit_of_work(other) as connection:
        connection.execute(text("SELECT pg_sleep(30)"))
    after = _outages()
    assert {why: after[why] - before[why] for why in after} == {"pool": 1, "connection": 2, "statement": 1}


def test_an_error_of_the_database_does_not_repeat_the_values_of_its_statement(engine: Engine) -> None:
    with pytest.raises(Exception, match="hidden") as caught, unit_of_work(engine, tenant="a") as connection:
        connection.execute(text("SELECT CAST(:value AS int) FROM no_such_table"), {"value": "canary-4711"})
    assert "canary" not in str(caught.value)
