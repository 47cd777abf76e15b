"""Finds automations: every installed distribution may publish some under the entry-point group ``recoup.automations``, and packs of models
in the folder ``RECOUP_PACKS`` declare theirs.

The folder is read here and not by each `main`, as are the entry points: a process that forgot it would refuse what all others know.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from shared.automations.contract import Automation
from shared.errors import InvariantBroken, UnknownAutomation, UnknownEventType
from shared.settings import PackSettings, load

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

GROUP = "recoup.automations"


@cache
def installed() -> Mapping[str, Automation]:
    """Those of installed distributions, by name.

    Raises:
        InvariantBroken: two of them claim one name or one event type, or an entry point is not an `Automation`.
    """
    return _unique(_loaded(entry) for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name))


@cache
def automations() -> Mapping[str, Automation]:
    """All automations by name; an installed one goes before what a pack declares for the same name.

    Raises:
        InvariantBroken: as `installed`, or the manifest of ``RECOUP_PACKS`` cannot be read.
    """
    folder = load(PackSettings).packs
    if folder is None:
        return installed()
    # Imported where there is such a folder: most have none, and the manifest takes a twentieth of a second.
    from shared.automations.declared import declared

    return _unique([*installed().values(), *(found for name, found in declared(folder).items() if name not in installed())])


def _loaded(entry: EntryPoint) -> Automation:
    automation = entry.load()
    if not isinstance(automation, Automation):
        raise InvariantBroken(f"entry point {entry.value!r} is not an Automation", entry=entry.value)
    return automation


def _unique(given: Iterable[Automation]) -> Mapping[str, Automation]:
    found: dict[str, Automation] = {}
    types: set[str] = set()
    for automation in given:
        if automation.name in found or automation.event_type in types:
            raise InvariantBroken("two automations claim one name or event type", name=automation.name, event_type=automation.event_type)
        found[automation.name] = automation
        types.add(automation.event_type)
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


def read_anew() -> None:
    """What packs declare now, from the next call on: whoever reads their models again must read these with them."""
    automations.cache_clear()
    _by_event_type.cache_clear()


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
