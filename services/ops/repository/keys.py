"""Tenants and their API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from services.ops.repository.rows import changed, many, one, rows
from services.ops.schemas.configuration import Key, NewKey
from shared.ids import uuid7

if TYPE_CHECKING:
    from sqlalchemy import Connection, RowMapping

_KEY = "id, name, prefix, roles, created_at, expires_at, revoked_at, last_used_at"

_NEW = f"""
INSERT INTO api_keys (id, tenant_id, name, prefix, secret_sha256, roles, expires_at)
VALUES (%(id)s, %(tenant)s, %(name)s, %(prefix)s, %(secret_sha256)s, %(roles)s, %(expires_at)s) RETURNING {_KEY}
"""  # noqa: S608  # a constant of this module

_LIST = f"SELECT {_KEY} FROM api_keys WHERE tenant_id = %(tenant)s ORDER BY created_at, id"  # noqa: S608  # a constant of this module

_REVOKE = f"""
UPDATE api_keys SET revoked_at = coalesce(revoked_at, %(now)s) WHERE tenant_id = %(tenant)s AND id = %(id)s RETURNING {_KEY}
"""  # noqa: S608  # a constant of this module

_NEW_TENANT = """
INSERT INTO tenants (id, name, simulated, time_scale, currency, arm_salt)
VALUES (%(id)s, %(name)s, %(simulated)s, %(time_scale)s, %(currency)s, %(salt)s)
ON CONFLICT (id) DO NOTHING
"""

_TENANTS = "SELECT id, name, simulated, time_scale, currency, created_at FROM tenants ORDER BY id"


def create(connection: Connection, tenant: str, wanted: NewKey, prefix: str, secret_sha256: bytes) -> Key:
    values = {
        "id": uuid7(),
        "tenant": tenant,
        "name": wanted.name,
        "prefix": prefix,
        "secret_sha256": secret_sha256,
        "roles": sorted({role.value for role in wanted.roles}),
        "expires_at": wanted.expires_at,
    }
    return one(Key, connection, _NEW, values)


def listed(connection: Connection, tenant: str) -> list[Key]:
    return many(Key, connection, _LIST, {"tenant": tenant})


def revoke(connection: Connection, tenant: str, key_id: UUID, now: datetime) -> Key:
    """The second time changes nothing; raises NotFound."""
    return one(Key, connection, _REVOKE, {"tenant": tenant, "id": key_id, "now": now})


def create_tenant(connection: Connection, tenant: dict[str, Any]) -> bool:
    """False where a tenant of this id exists; it is left as it is."""
    return changed(connection, _NEW_TENANT, tenant) == 1


def tenants(connection: Connection) -> Sequence[RowMapping]:
    return rows(connection, _TENANTS, {})


def tenant_exists(connection: Connection, tenant: str) -> bool:
    return bool(rows(connection, "SELECT 1 FROM tenants WHERE id = %(id)s", {"id": tenant}))
