"""Keys and tenants."""

from __future__ import annotations

import secrets
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from services.ops.repository import audit, keys, rates
from services.ops.repository.audit import Author
from services.ops.schemas.configuration import Key, KeyCreated, NewKey
from services.ops.schemas.rates import NewRate
from shared.errors import Rejected
from shared.security import apikeys

if TYPE_CHECKING:
    from sqlalchemy import Connection

_SALT_BYTES = 32
_DEFAULT_RATES = {"labour_hour": Decimal(45), "cpu_hour": Decimal("0.05")}
_DECLARED = "declared default, change it"


def create(connection: Connection, author: Author, wanted: NewKey, now: datetime) -> KeyCreated:
    """A key of the author's tenant; its token is in the answer and nowhere else.

    Raises:
        Rejected: it would be expired already.
    """
    if wanted.expires_at is not None and wanted.expires_at <= now:
        raise Rejected("`expires_at` must lie in the future.")
    made = apikeys.generate()
    key = keys.create(connection, author.tenant, wanted, made.prefix, made.secret_sha256)
    audit.record(connection, author, "key.created", key.id, {"name": key.name, "roles": key.roles, "prefix": key.prefix})
    return KeyCreated(**key.model_dump(), token=made.token)


def revoke(connection: Connection, author: Author, key_id: UUID, now: datetime) -> Key:
    """Raises NotFound. It stops working within seconds, when the processes forget that they know it."""
    key = keys.revoke(connection, author.tenant, key_id, now)
    audit.record(connection, author, "key.revoked", key.id, {"name": key.name, "prefix": key.prefix})
    return key


def create_tenant(connection: Connection, author: Author, name: str, currency: str, *, time_scale: Decimal | None, now: datetime) -> bool:
    """A tenant with default rates, which somebody must replace. An existing one stays as it is, and False is returned.

    Args:
        time_scale: how much faster the clocks of a simulated tenant's people run; None for a real tenant.
    """
    tenant = {
        "id": author.tenant,
        "name": name,
        "simulated": time_scale is not None,
        "time_scale": time_scale or Decimal(1),
        "currency": currency,
        "salt": secrets.token_bytes(_SALT_BYTES),
    }
    if not keys.create_tenant(connection, tenant):
        return False
    for rate, value in _DEFAULT_RATES.items():
        rates.add(connection, author.tenant, NewRate(name=rate, value=value, currency=currency, source=_DECLARED), now)
    audit.record(connection, author, "tenant.created", author.tenant, {"simulated": time_scale is not None})
    return True
