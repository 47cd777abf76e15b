"""Who is at the desk, and the transaction in which they act."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from services.ops.repository.audit import Author
from shared.db import unit_of_work
from shared.security.apikeys import READERS_OF_FIGURES
from shared.settings import TIME_AHEAD

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from shared.clock import Clock
    from shared.security.vault import Vault
    from shared.web.auth import Authenticator, Principal


@dataclass(frozen=True, slots=True)
class Ops:
    """Everything that this service was built with."""

    engine: Engine
    clock: Clock
    vault: Vault
    authenticator: Authenticator
    claim_duration: timedelta
    # How far the time of an event that is tried may be ahead of ours: as far as the gateway's.
    time_ahead: timedelta = TIME_AHEAD


@dataclass(frozen=True, slots=True)
class Session:
    """One request of a verified key."""

    ops: Ops
    principal: Principal

    @property
    def author(self) -> Author:
        return Author(self.principal.tenant, self.principal.key_id)

    @property
    def reads_figures(self) -> bool:
        return self.principal.may(*READERS_OF_FIGURES)

    def transaction(self, *, snapshot: bool = False) -> AbstractContextManager[Connection]:
        """Sees the rows of the key's tenant and no others."""
        return unit_of_work(self.ops.engine, tenant=self.principal.tenant, snapshot=snapshot)
