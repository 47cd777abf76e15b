"""Keys, and the log of who changed what."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from services.ops.endpoints.access import Admin
from services.ops.endpoints.queries import page
from services.ops.repository import audit
from services.ops.repository import keys as stored
from services.ops.schemas.configuration import AuditRow, Key, KeyCreated, NewKey
from services.ops.service import keys
from shared.web.pagination import Cursor, Cursored, Limit, Page
from shared.web.problem import PROBLEMS

router = APIRouter(prefix="/v1", tags=["administration"], responses=dict(PROBLEMS))


@router.get("/keys", summary="API keys, without their secrets")
def listing(session: Admin) -> list[Key]:
    with session.transaction() as connection:
        return stored.listed(connection, session.principal.tenant)


@router.post("/keys", status_code=201, summary="Create an API key; its token is shown this once")
def create(session: Admin, wanted: NewKey) -> KeyCreated:
    with session.transaction() as connection:
        return keys.create(connection, session.author, wanted, session.ops.clock.now())


@router.post("/keys/{key_id}/revoke", summary="Revoke an API key")
def revoke(session: Admin, key_id: UUID) -> Key:
    """It stops working within five seconds."""
    with session.transaction() as connection:
        return keys.revoke(connection, session.author, key_id, session.ops.clock.now())


@router.get("/audit", summary="Who changed what, newest first")
def log(session: Admin, cursor: Cursored = None, limit: Limit = 50) -> Page[AuditRow]:
    with session.transaction() as connection:
        found = audit.page(connection, Cursor.decode(cursor), limit + 1)
    return page(found, limit, lambda row: (row.created_at, row.id))
