"""What the gateway asks of Postgres beside the event log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.db import unit_of_work
from shared.intake.repository import count_rejected

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Engine


@dataclass(frozen=True, slots=True)
class SourceRow:
    """Attributes: sealed_secrets: those that have not expired, newest first."""

    id: UUID
    tenant: str
    name: str
    event_type: str
    mapping: Any
    disabled: bool
    sealed_secrets: tuple[bytes, ...]


class Repository:
    """Each method is one transaction; all raise `DatabaseUnavailable` where there is no answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find_source(self, source_id: UUID) -> SourceRow | None:
        with unit_of_work(self._engine) as connection:
            row = connection.exec_driver_sql("SELECT * FROM find_source(%(id)s)", {"id": source_id}).one_or_none()
        if row is None:
            return None
        sealed = tuple(bytes(secret) for secret in row.sealed_secrets)
        return SourceRow(row.id, row.tenant_id, row.name, row.event_type, row.mapping, row.disabled_at is not None, sealed)

    def count_rejected(self, tenant: str, hour: datetime, by_automation: Mapping[str, int]) -> None:
        with unit_of_work(self._engine, tenant=tenant) as connection:
            for automation, events in by_automation.items():
                count_rejected(connection, tenant, automation, hour, events)
