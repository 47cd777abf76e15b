"""Reads a poison record again, as a tenant's and as if it arrived now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.dispatcher import repository
from services.dispatcher.kept_headers import replayed
from services.dispatcher.records import Poison, Raw, read
from shared.intake.record import Receipt
from shared.intake.repository import store

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID

    from sqlalchemy import Engine

_SETTLED: Final = "dealt with by somebody else"
# What does not need anybody any more.
DEALT_WITH: Final = frozenset({*(receipt.value for receipt in Receipt), _SETTLED})


def replay(engine: Engine, record: UUID, tenant: str, now: datetime, time_ahead: timedelta) -> str:
    """What became of it: a receipt, or why it is poison still. Workers get its case from the steward.

    Raises:
        UnknownTenant: there is none.
        DatabaseUnavailable: nothing has changed.
    """
    try:
        with repository.transaction(engine) as connection:
            found = repository.lock_poison(connection, record)
            if found is None:
                return _SETTLED
            content = read(Raw("", 0, 0, None, found.raw, replayed(found.headers, tenant)), now, time_ahead)
            if isinstance(content, Poison):
                return content.error
            (stored,) = store(connection, [content])
            detail = {"receipt": stored.receipt.value, "case": str(stored.case_id)}
            repository.resolve_poison(connection, record, tenant, "dead_letter.replayed", detail)
    except repository.Unstorable as error:
        return f"{error.code}: {error.message}"
    return stored.receipt.value
