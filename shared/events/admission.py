"""Whether an event may come in: an automation handles its type, and its data fit that automation's model."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import orjson
from pydantic import BaseModel, ValidationError

from shared.automations import registry
from shared.errors import Rejected, SchemaViolation, UnknownEventType
from shared.events.attributes import Fault
from shared.events.outcome import OUTCOME_TYPE, OUTCOMES

if TYPE_CHECKING:
    from shared.automations.contract import Automation
    from shared.events.envelope import Event

# Enough to fix a mapping, few enough to read.
_MOST_FAULTS = 20


class TimeAhead(Rejected):
    """The event's time is further ahead of its arrival than a wrong clock explains."""

    code = "time_ahead"


def admit(event: Event) -> tuple[Automation, BaseModel]:
    """The automation of the event's type, and the event's data as its model.

    Raises:
        UnknownEventType: no automation handles the type; ``known`` lists those that are.
        SchemaViolation: ``errors`` holds field paths and rules, never values.
    """
    automation = automation_for(event.type)
    try:
        # Validated as JSON, because a strict model takes a date from JSON text but not from a Python string.
        return automation, automation.data_model.model_validate_json(orjson.dumps(event.data))
    except ValidationError as error:
        raise SchemaViolation(errors=_faults(error), automation=automation.name) from None
    except (orjson.JSONEncodeError, RecursionError):
        fault = Fault(field="data", problem="holds a value that JSON cannot carry, or is nested too deep")
        raise SchemaViolation(errors=[fault], automation=automation.name) from None


def refuse_ahead(event: Event, automation: Automation, arrived: datetime, allowance: timedelta) -> None:
    """Nothing is too long ago. But of several late outcomes the latest holds: one from the future would hold for ever.

    Raises:
        TimeAhead: the event's time is more than ``allowance`` after it arrived.
    """
    if event.time is not None and event.time - arrived > allowance:
        hours = allowance.total_seconds() / 3600
        fault = Fault(field="time", problem=f"is more than {hours:g} hours after the event arrived; is the sender's clock right?")
        raise TimeAhead(errors=[fault], automation=automation.name)


def automation_for(event_type: str) -> Automation:
    """As `registry.for_event_type`, without repeating what the sender wrote; `OUTCOMES` for late outcomes.

    Raises:
        UnknownEventType: ``known`` lists the types that an automation handles.
    """
    if event_type == OUTCOME_TYPE:
        return OUTCOMES
    try:
        return registry.for_event_type(event_type)
    except UnknownEventType as error:
        raise UnknownEventType("No automation handles events of this type; `known` lists those that are.", **_known(error)) from None


def _known(error: UnknownEventType) -> dict[str, object]:
    return {"known": error.context["known"]}


def _faults(error: ValidationError) -> list[Fault]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [Fault(field=".".join(["data", *(str(part)[:64] for part in e["loc"])]), problem=e["msg"]) for e in found[:_MOST_FAULTS]]
