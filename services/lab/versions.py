"""Versions of a pack side by side in one folder: the oldest decides until somebody promotes another."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final, Protocol

from shared.automations.pack import Declaration, Pack, age_of
from shared.errors import Rejected

# Of a pack for which nobody names another.
FIRST: Final = "2.0.0"
_FORM: Final = re.compile(r"[0-9][0-9A-Za-z.-]{0,31}")


class Identity(Protocol):
    """Of a pack, made or planned."""

    @property
    def task(self) -> str: ...
    @property
    def version(self) -> str: ...


class BadVersion(Rejected):
    """A version begins with a digit and goes on with digits, letters, dots and hyphens, such as 2.1.0."""

    code = "bad_version"


class OlderVersion(Rejected):
    """A version older than all that are published there would decide at once for everybody who has promoted none: name a newer one."""

    code = "older_version"


class OtherEvents(Rejected):
    """Versions of one task take the same events: type, text and fields, with numbers in the same ones. For others train another task."""

    code = "other_events"


class VersionTaken(Rejected):
    """A pack of that version is published there already."""

    code = "version_taken"


def checked(version: str, task: str, published: Iterable[Pack]) -> str:
    """The version, if a pack of it may be published: it takes the place of that version, or changes nothing until it is promoted.

    Raises:
        BadVersion, OlderVersion: as they say.
    """
    if not _FORM.fullmatch(version):
        raise BadVersion(version=version)
    there = sorted((pack for pack in published if pack.task == task), key=lambda pack: pack.age)
    known = [pack.version for pack in there]
    if there and version not in known and age_of(version) < there[0].age:
        raise OlderVersion(version=version, published=known)
    return version


def checked_beside(version: str, pack: Pack, published: Iterable[Pack]) -> str:
    """As `checked`, for a copy of ``pack`` that must replace no other version. Raises VersionTaken too."""
    packs = list(published)
    if version != pack.version and any((other.task, other.version) == (pack.task, version) for other in packs):
        raise VersionTaken(version=version, published=[other.version for other in packs if other.task == pack.task])
    return checked(version, pack.task, packs)


def refuse_other_events(told: Declaration, pack: Identity, published: Iterable[Pack], numbers: Collection[str] | None = None) -> None:
    """One description is for all versions: what a new one says of events would change what the older ones are asked, before its promotion.

    Args:
        told: what the pack says; ``numbers``: those of its fields that hold numbers, None where they are not known yet.

    Raises:
        OtherEvents: another version of the task says something else.
    """
    for other in published:
        if (other.task, other.version) == (pack.task, pack.version) or other.task != pack.task or other.declares is None:
            continue
        differ = [name for name in ("event_type", "text") if getattr(told, name) != getattr(other.declares, name)]
        differ += ["fields"] if set(told.fields) != set(other.declares.fields) else []
        if not differ and numbers is not None:
            differ = [name for name in told.fields if (name in numbers) != other.is_number(name)]
        if differ:
            raise OtherEvents(version=pack.version, differ_from=other.version, in_what=differ)


def numbers_of(pack: Pack) -> set[str]:
    """Its declared fields that hold numbers."""
    return {name for name in (pack.declares.fields if pack.declares else ()) if pack.is_number(name)}


def stem(name: str, version: str) -> str:
    """What reports of a pack are called, and the folder that it is made in: by its name, and by its version where that was named."""
    return name if version == FIRST else f"{name}@{version}"
