"""Finds automations: every installed distribution may publish some under the entry-point group ``recoup.automations``."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from shared.automations.contract import Automation
from shared.errors import InvariantBroken, UnknownAutomation, UnknownEventType

if TYPE_CHECKING:
    from collections.abc import Mapping

GROUP = "recoup.automations"


@cache
def automations() -> Mapping[str, Automation]:
    """All installed automations by name.

    Raises:
        InvariantBroken: two of them claim one name or one event type, or an entry point is not an `Automation`.
    """
    found: dict[str, Automation] = {}
    types: dict[str, str] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        automation = entry.load()
        if not isinstance(automation, Automation):
            raise InvariantBroken(f"entry point {entry.value!r} is not an Automation", entry=entry.value)
        if automation.name in found or automation.event_type in types:
            raise InvariantBroken("two automations claim one name or event type", name=automation.name, event_type=automation.event_type)
        found[automation.name] = automation
        types[automation.event_type] = automation.name
    return found


def automation(name: str) -> Automation:
    """The automation of that name.

    Raises:
        UnknownAutomation: none is installed under it.
    """
    try:
        return automations()[name]
    except KeyError:
        raise UnknownAutomation(name=name, known=sorted(automations())) from None


@cache
def _by_event_type() -> Mapping[str, Automation]:
    return {a.event_type: a for a in automations().values()}


def for_event_type(event_type: str) -> Automation:
    """The automation that handles events of this CloudEvents type.

    Raises:
        UnknownEventType: none does.
    """
    try:
        return _by_event_type()[event_type]
    except KeyError:
        raise UnknownEventType(event_type=event_type, known=sorted(_by_event_type())) from None
