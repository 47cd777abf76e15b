"""Records and tenants for tests of everything that feeds the inbox."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
from pydantic import SecretStr

from shared.db import engine_for
from shared.intake.record import Incoming
from shared.settings import DatabaseSettings

if TYPE_CHECKING:
    from typing import LiteralString

    from psycopg.abc import Params
    from sqlalchemy import Engine

    from shared.db.engine import Role
    from tests.conftest import Database

NOON = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)


def incoming(event_id: str, *, tenant: str = "acme", automation: str = "claims", received_at: datetime = NOON, text: str = "") -> Incoming:
    """A record for tests below the parser: the body is JSON of a plausible shape, not a valid event of the automation."""
    body = json.dumps({"id": event_id, "source": "/erp", "text": text}).encode()
    return Incoming(
        tenant=tenant,
        source="/erp",
        event_id=event_id,
        event_type=f"com.example.{automation}.v1",
        automation=automation,
        occurred_at=received_at,
        received_at=received_at,
        body=body,
        body_sha256=hashlib.sha256(body).digest(),
    )


def engine_of(database: Database, role: Role = "recoup_line") -> Engine:
    return engine_for(DatabaseSettings(url=SecretStr(database.app_url)), role=role, application="test")


def add_tenant(database: Database, tenant: str = "acme", control_shares: dict[str, str] | None = None, *, audit_share: str = "0") -> None:
    """Nothing is audited of the automations in ``control_shares`` unless a test says so."""
    with psycopg.connect(_dsn(database), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO tenants (id, name, arm_salt) VALUES (%s, %s, %s)", (tenant, tenant, hashlib.sha256(tenant.encode()).digest())
        )
        for automation, share in (control_shares or {}).items():
            connection.execute(
                "INSERT INTO automation_settings (tenant_id, automation, control_share, audit_share) VALUES (%s, %s, %s, %s)",
                (tenant, automation, share, audit_share),
            )


def rows(database: Database, query: LiteralString, parameters: Params | None = None) -> list[tuple[object, ...]]:
    """As the superuser, who sees every tenant."""
    with psycopg.connect(_dsn(database), autocommit=True) as connection:
        return connection.execute(query, parameters).fetchall()


def _dsn(database: Database) -> str:
    return database.admin_url.replace("+psycopg", "")
