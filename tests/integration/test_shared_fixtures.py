"""The fixtures that other tests stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
import redis

if TYPE_CHECKING:
    from tests.conftest import Database


def _connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_gets_a_database_of_its_own(turn: int, database: Database) -> None:
    with _connect(database.admin_url) as connection:
        assert connection.execute("SELECT to_regclass('mine')").fetchone() == (None,)
        connection.execute("CREATE TABLE mine (n int)")


def test_a_database_has_the_current_schema(database: Database) -> None:
    with _connect(database.admin_url) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


def test_the_login_role_can_connect_and_act_as_the_line(database: Database) -> None:
    with _connect(database.app_url) as connection:
        connection.execute("SET ROLE recoup_line")
        assert connection.execute("SELECT current_user, session_user").fetchone() == ("recoup_line", "recoup_app")


@pytest.mark.parametrize("turn", [1, 2])
def test_an_empty_redis_is_empty(turn: int, empty_redis_url: str) -> None:
    with redis.Redis.from_url(empty_redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")
