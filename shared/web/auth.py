"""Who is asking: API keys, roles, and the tenant that follows from the key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import text
from starlette.concurrency import run_in_threadpool

from shared.db import unit_of_work
from shared.errors import Forbidden, Unauthenticated
from shared.security import apikeys
from shared.security.apikeys import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from uuid import UUID

    from sqlalchemy import Engine, Row

    from shared.clock import Clock

BEARER = HTTPBearer(auto_error=False, description="An API key: `Authorization: Bearer rk_…`. Made with `recoup keys create`.")
# A revoked key stops working within this time.
CACHE_SECONDS = 5.0
_CACHE_LIMIT = 10_000
# Often enough to find unused keys, seldom enough to cost nothing.
_LAST_USED_STEP = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified key."""

    key_id: UUID
    tenant: str
    roles: frozenset[Role]

    def may(self, *roles: Role) -> bool:
        return Role.ADMIN in self.roles or not self.roles.isdisjoint(roles)


class Authenticator:
    """Verifies keys against the database and remembers good ones for a few seconds."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._lock = Lock()
        self._known: dict[str, tuple[float, Principal]] = {}

    def __call__(self, token: str | None) -> Principal:
        """Raises Unauthenticated where the key is missing, unknown, revoked or expired; Retryable where the database is away."""
        if token is None:
            raise Unauthenticated("Send an API key: `Authorization: Bearer rk_…`.")
        remembered = self._remembered(token)
        if remembered is not None:
            return remembered
        principal = self.verify(token)
        with self._lock:
            if len(self._known) >= _CACHE_LIMIT:
                self._known.clear()
            self._known[token] = (self._clock.monotonic(), principal)
        return principal

    async def asked(self, token: str | None) -> Principal:
        """As calling it, from an event loop: in a thread only where the database must be asked."""
        known = None if token is None else self._remembered(token)
        return await run_in_threadpool(self, token) if known is None else known

    def verify(self, token: str) -> Principal:
        """As calling it, but always asks the database; for callers that remember by themselves."""
        parts = apikeys.split(token)
        if parts is None:
            raise Unauthenticated("That is not an API key; keys begin with rk_.")
        prefix, secret = parts
        with unit_of_work(self._engine) as connection:
            row = connection.execute(text("SELECT * FROM find_api_key(:prefix)"), {"prefix": prefix}).one_or_none()
        if row is None or not apikeys.matches(secret, bytes(row.secret_sha256)):
            raise Unauthenticated("No such API key.")
        now = self._clock.now()
        if row.revoked_at is not None:
            raise Unauthenticated("This API key was revoked.")
        if row.expires_at is not None and row.expires_at <= now:
            raise Unauthenticated("This API key has expired.")
        self._note_use(row)
        return Principal(row.id, row.tenant_id, frozenset(Role(role) for role in row.roles))

    def _remembered(self, token: str) -> Principal | None:
        known = self._known.get(token)
        return known[1] if known is not None and self._clock.monotonic() - known[0] < CACHE_SECONDS else None

    def _note_use(self, row: Row[tuple[object, ...]]) -> None:
        now = self._clock.now()
        if row.last_used_at is not None and now - row.last_used_at < _LAST_USED_STEP:
            return
        with unit_of_work(self._engine, tenant=row.tenant_id) as connection:
            connection.execute(text("UPDATE api_keys SET last_used_at = :now WHERE id = :id"), {"now": now, "id": row.id})


def require(authenticator: Authenticator, *roles: Role) -> Callable[..., Coroutine[None, None, Principal]]:
    """A dependency: the principal, if its key has one of ``roles`` (an admin has all)."""

    async def principal(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)] = None) -> Principal:
        found = await authenticator.asked(credentials.credentials if credentials is not None else None)
        if not found.may(*roles):
            raise Forbidden("This key lacks the role for that.", needs=[*roles, Role.ADMIN])
        return found

    return principal
