"""Keys are verified against a real database, remembered for five seconds, and worth no more than their roles."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from fastapi import Depends
from fastapi.testclient import TestClient
from pydantic import SecretStr

from shared.db import engine_for
from shared.security import apikeys
from shared.security.apikeys import Role
from shared.settings import DatabaseSettings
from shared.web.app import create_app
from shared.web.auth import CACHE_SECONDS, Authenticator, Principal, require
from tests.database_sessions import connected
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from fastapi import FastAPI

    from shared.clock import Clock
    from tests.conftest import Database


@dataclass(slots=True)
class SetClock:
    """Moves only when told."""

    at: datetime = datetime(2026, 11, 23, 8, tzinfo=UTC)
    elapsed: float = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.elapsed


class Keys:
    """Keys of the tenant ``acme``."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._execute("INSERT INTO tenants (id, name, arm_salt) VALUES ('acme', 'Acme', 'x')")

    def add(self, *roles: Role, expires_at: datetime | None = None) -> tuple[str, UUID]:
        """Token and id."""
        key, identity = apikeys.generate(), uuid4()
        self._execute(
            "INSERT INTO api_keys (id, tenant_id, name, prefix, secret_sha256, roles, expires_at) VALUES (%s, 'acme', 'k', %s, %s, %s, %s)",
            identity, key.prefix, key.secret_sha256, [str(role) for role in roles], expires_at,
        )  # fmt: skip
        return key.token, identity

    def revoke(self, identity: UUID) -> None:
        self._execute("UPDATE api_keys SET revoked_at = now() WHERE id = %s", identity)

    def last_used(self, identity: UUID) -> datetime | None:
        found: datetime | None = self._execute("SELECT last_used_at FROM api_keys WHERE id = %s", identity)[0][0]
        return found

    def _execute(self, statement: str, *values: object) -> Sequence[tuple[Any, ...]]:
        with connected(self._url) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def keys(database: Database) -> Keys:
    return Keys(database.admin_url)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


def _app(url: str, clock: Clock) -> FastAPI:
    authenticator = Authenticator(engine_for(DatabaseSettings(url=SecretStr(url)), role="recoup_api", application="test"), clock)
    app = create_app(title="Test", service="test", clock=clock, readiness=lambda: {"database": True})

    asking = Depends(require(authenticator, Role.EXECUTIVE))

    @app.get("/figures")
    def figures(principal: Principal = asking) -> dict[str, object]:
        return {"tenant": principal.tenant, "key": principal.key_id, "roles": sorted(principal.roles)}

    return app


@pytest.fixture
def client(database: Database, clock: SetClock) -> Iterator[TestClient]:
    with TestClient(_app(database.app_url, clock)) as found:
        yield found


def _status(client: TestClient, token: str | None, scheme: str = "Bearer") -> int:
    return client.get("/figures", headers={} if token is None else {"Authorization": f"{scheme} {token}"}).status_code


def test_a_good_key_says_who_is_asking(client: TestClient, keys: Keys) -> None:
    token, identity = keys.add(Role.EXECUTIVE, Role.OPERATOR)
    answer = client.get("/figures", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()) == (200, {"tenant": "acme", "key": str(identity), "roles": ["executive", "operator"]})


def test_an_administrator_has_every_role(client: TestClient, keys: Keys) -> None:
    assert _status(client, keys.add(Role.ADMIN)[0]) == 200


@pytest.mark.parametrize("roles", [(), (Role.OPERATOR,), (Role.INTEGRATOR, Role.OPERATOR)])
def test_a_key_without_the_role_is_forbidden(client: TestClient, keys: Keys, roles: tuple[Role, ...]) -> None:
    assert _status(client, keys.add(*roles)[0]) == 403


def test_without_a_key_the_answer_names_the_scheme(client: TestClient) -> None:
    answer = client.get("/figures")
    assert (answer.status_code, answer.headers["www-authenticate"], answer.json()["code"]) == (401, "Bearer", "unauthenticated")


def test_unknown_keys_wrong_secrets_and_things_that_are_no_keys_are_told_apart_from_good_ones_only(client: TestClient, keys: Keys) -> None:
    token, _ = keys.add(Role.EXECUTIVE)
    other, _ = keys.add(Role.EXECUTIVE)
    mixed = f"rk_{token.split('_')[1]}_{other.split('_', 2)[2]}"
    for wrong in (mixed, apikeys.generate().token, token[:-1], token + "x", "rk_", "secret", "rk_a%00_b"):
        assert _status(client, wrong) == 401
    assert _status(client, token, scheme="Basic") == 401
    assert _status(client, token, scheme="bearer") == 200


def test_a_prefix_with_a_nul_is_no_key(client: TestClient) -> None:
    answer = client.get("/figures", headers={b"Authorization": b"Bearer rk_a\0_b"})
    assert answer.status_code == 401


def test_an_unknown_key_and_a_wrong_secret_get_the_same_answer(client: TestClient, keys: Keys) -> None:
    token, _ = keys.add(Role.EXECUTIVE)
    answers = [
        client.get("/figures", headers={"Authorization": f"Bearer {wrong}"}).content for wrong in (token + "x", apikeys.generate().token)
    ]
    assert answers[0] == answers[1]


def test_a_key_expires_at_its_time(client: TestClient, keys: Keys, clock: SetClock) -> None:
    token, _ = keys.add(Role.EXECUTIVE, expires_at=clock.at + timedelta(seconds=10))
    assert _status(client, token) == 200
    clock.at += timedelta(seconds=10)
    clock.elapsed += 10
    assert _status(client, token) == 401


def test_a_revoked_key_stops_within_five_seconds(client: TestClient, keys: Keys, clock: SetClock) -> None:
    token, identity = keys.add(Role.EXECUTIVE)
    assert _status(client, token) == 200
    keys.revoke(identity)
    clock.elapsed += CACHE_SECONDS - 0.1
    assert _status(client, token) == 200, "remembered"
    clock.elapsed += 0.1
    assert _status(client, token) == 401


def test_a_key_that_was_refused_works_as_soon_as_it_exists(client: TestClient, keys: Keys) -> None:
    assert _status(client, apikeys.generate().token) == 401
    assert _status(client, keys.add(Role.EXECUTIVE)[0]) == 200


def test_use_is_noted_once_a_minute(client: TestClient, keys: Keys, clock: SetClock) -> None:
    token, identity = keys.add(Role.EXECUTIVE)
    start = clock.at
    for seconds in (0, 30, 61):
        clock.at = start + timedelta(seconds=seconds)
        clock.elapsed = float(seconds)
        assert _status(client, token) == 200
        assert keys.last_used(identity) == (start if seconds < 60 else clock.at)


def test_while_the_database_is_away_a_key_is_not_wrong(clock: SetClock) -> None:
    with TestClient(_app(f"postgresql+psycopg://recoup_app:x@127.0.0.1:{free_port()}/recoup", clock)) as client:
        answer = client.get("/figures", headers={"Authorization": f"Bearer {apikeys.generate().token}"})
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert "retry-after" in answer.headers
