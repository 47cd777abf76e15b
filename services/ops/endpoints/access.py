"""Who may call what: each dependency is one set of roles. What exists at all is the database's decision, by the tenant of the key."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials

from services.ops.service.session import Ops, Session
from shared.security.apikeys import READERS_OF_FIGURES, Role
from shared.web.auth import BEARER, require


def _session_for(*roles: Role) -> Callable[..., Coroutine[None, None, Session]]:
    async def session(request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)] = None) -> Session:
        ops = cast("Ops", request.app.state.ops)
        return Session(ops, await require(ops.authenticator, *roles)(credentials))

    return session


# An admin may do all of it.
Admin = Annotated[Session, Depends(_session_for())]
Operator = Annotated[Session, Depends(_session_for(Role.OPERATOR))]
Integrator = Annotated[Session, Depends(_session_for(Role.INTEGRATOR))]
Engineer = Annotated[Session, Depends(_session_for(Role.INTEGRATOR, Role.OPERATOR))]
Analyst = Annotated[Session, Depends(_session_for(*READERS_OF_FIGURES))]
Anyone = Annotated[Session, Depends(_session_for(Role.INTEGRATOR, Role.OPERATOR, Role.EXECUTIVE))]
