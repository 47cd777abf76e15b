"""A gateway for tests: the real application on a real database, and what a tenant needs to send to it."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import orjson
import psycopg
from pydantic import SecretStr
from sqlalchemy import make_url
from standardwebhooks import Webhook
from starlette.testclient import TestClient

from services.gateway.main import build, event_log
from services.gateway.settings import GatewaySettings
from shared.db import engine_for
from shared.security import apikeys
from shared.security.vault import Vault, new_vault_key, new_webhook_secret
from shared.settings import DatabaseSettings, KafkaSettings, RedisSettings, SecretSettings
from tests.patience import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastapi import FastAPI
    from sqlalchemy import Engine

    from tests.conftest import Database

CLAIM: dict[str, Any] = {
    "policy_number": "KFZ-1",
    "policy_start": "2026-01-01",
    "policy_end": "2026-12-31",
    "line": "motor",
    "cause": "glass",
    "loss_date": "2026-10-01",
    "reported_date": "2026-10-02",
    "amount_claimed": 412.9,
    "currency": "EUR",
    "sum_insured": "20000",
}
CLAIM_TYPE = "com.recoup.claim.filed.v1"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)


@dataclass(slots=True)
class SetClock:
    """Moves only when told."""

    at: datetime = NOW
    elapsed: float = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.elapsed

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.elapsed += seconds


@dataclass(frozen=True, slots=True)
class Tenant:
    """Attributes: database: whose superuser writes what the ops API would."""

    database: Database
    vault_key: str
    name: str = "acme"

    @contextmanager
    def admin(self) -> Iterator[psycopg.Connection[Any]]:
        dsn = make_url(self.database.admin_url).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(dsn, autocommit=True) as connection:
            yield connection

    def create(self) -> None:
        with self.admin() as connection:
            connection.execute(
                "INSERT INTO tenants (id, name, arm_salt) VALUES (%s, %s, %s)", [self.name, self.name, secrets.token_bytes(16)]
            )

    def key(self, *roles: str) -> str:
        new = apikeys.generate()
        with self.admin() as connection:
            connection.execute(
                "INSERT INTO api_keys (id, tenant_id, name, prefix, secret_sha256, roles) VALUES (%s, %s, 'test', %s, %s, %s)",
                [uuid4(), self.name, new.prefix, new.secret_sha256, list(roles or ("integrator",))],
            )
        return new.token

    def source(self, mapping: dict[str, str] | None = None, *, name: str = "erp", event_type: str = CLAIM_TYPE) -> tuple[UUID, str]:
        """(id, secret) of a webhook source."""
        source_id = uuid4()
        with self.admin() as connection:
            connection.execute(
                "INSERT INTO sources (id, tenant_id, name, event_type, mapping) VALUES (%s, %s, %s, %s, %s)",
                [source_id, self.name, name, event_type, orjson.dumps(mapping or {}).decode()],
            )
        return source_id, self.secret(source_id)

    def secret(self, source_id: UUID) -> str:
        """One more secret of a source."""
        secret = new_webhook_secret()
        sealed = Vault(SecretSettings(secret_key=SecretStr(self.vault_key))).seal(secret)
        with self.admin() as connection:
            connection.execute(
                "INSERT INTO source_secrets (id, tenant_id, source_id, sealed) VALUES (%s, %s, %s, %s)",
                [uuid4(), self.name, source_id, sealed],
            )
        return secret

    def bodies(self) -> list[bytes]:
        return [bytes(body) for (body,) in self.query("SELECT body FROM payloads ORDER BY case_id")]

    def query(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self.admin() as connection:
            return connection.execute(statement.encode(), parameters).fetchall()


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that answers, with a key of the tenant's integrator."""

    client: TestClient
    app: FastAPI
    engine: Engine
    tenant: Tenant
    token: str
    clock: SetClock = field(default_factory=SetClock)

    def send(self, event: object, content_type: str = STRUCTURED, **headers: str) -> Any:
        return self.raw(orjson.dumps(event), content_type, **headers)

    def raw(self, body: bytes, content_type: str = STRUCTURED, **headers: str) -> Any:
        sent = {"authorization": f"Bearer {self.token}", "content-type": content_type, **headers}
        return self.client.post("/v1/events", content=body, headers=sent)

    def webhook(self, source_id: UUID, secret: str, payload: object, *, message_id: str = "msg_1", at: datetime | None = None) -> Any:
        body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
        return self.client.post(
            f"/v1/webhooks/{source_id}", content=body, headers=signed(secret, body, message_id=message_id, at=at or self.clock.now())
        )


def claim(event_id: str = "1", **members: object) -> dict[str, object]:
    return {"specversion": "1.0", "id": event_id, "source": "/erp", "type": CLAIM_TYPE, "data": CLAIM, **members}


def signed(secret: str, body: bytes, *, message_id: str, at: datetime) -> dict[str, str]:
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, at, body.decode()),
        "content-type": "application/json",
    }


@contextmanager
def running(database: Database, redis_url: str, *, kafka: KafkaSettings | None = None, **settings: Any) -> Iterator[Running]:
    """The application with its lifespan, on a clock of its own; without Kafka where none is named."""
    tenant = Tenant(database, new_vault_key())
    tenant.create()
    clock = SetClock()
    engine = engine_for(DatabaseSettings(url=SecretStr(database.app_url)), role="recoup_api", application="test")
    log = event_log(engine, RedisSettings(url=SecretStr(redis_url)), kafka or KafkaSettings(bootstrap_servers=""))
    app = build(GatewaySettings(**settings), engine, Vault(SecretSettings(secret_key=SecretStr(tenant.vault_key))), log, clock)
    try:
        with TestClient(app, raise_server_exceptions=False) as client:
            eventually(lambda: client.get("/readyz").status_code == 200)
            yield Running(client, app, engine, tenant, tenant.key(), clock)
    finally:
        engine.dispose()
