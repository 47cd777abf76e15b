"""What figures are valued by."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from services.ops.repository import audit, rates
from services.ops.repository.audit import Author
from services.ops.schemas.rates import EVERY, NewRate, Rate
from shared.automations import registry
from shared.errors import Conflict

if TYPE_CHECKING:
    from sqlalchemy import Connection

_TAKEN = "This rate has a value from that moment already; set a new one from a later moment, or send this one as a correction."
_NOTHING = "This rate has no value from that very moment that could be corrected."


def set_rate(connection: Connection, author: Author, wanted: NewRate, now: datetime) -> Rate:
    """A rate holds from its date until a later one of the same name; a correction counts instead of the value of its own date.

    Raises:
        UnknownAutomation: none is installed under that name.
        Conflict: this rate has a value from that moment already, or none that could be corrected.
    """
    if wanted.automation != EVERY:
        registry.automation(wanted.automation)
    rate = rates.add(connection, author.tenant, wanted, wanted.valid_from or now)
    if rate is None:
        raise Conflict(_NOTHING if wanted.correction else _TAKEN)
    audit.record(connection, author, "rate.corrected" if wanted.correction else "rate.set", rate.id, rate.model_dump(mode="json"))
    return rate
