"""Versions of a pack side by side in one folder: the oldest decides until somebody promotes another."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from shared.automations.pack import Pack, age_of
from shared.errors import Rejected

# Of a pack for which nobody names another.
FIRST: Final = "2.0.0"
_FORM: Final = re.compile(r"[0-9][0-9A-Za-z.-]{0,31}")


class BadVersion(Rejected):
    """A version begins with a digit and goes on with digits, letters, dots and hyphens, such as 2.1.0."""

    code = "bad_version"


class OlderVersion(Rejected):
    """A version older than all that are published there would decide at once for everybody who has promoted none: name a newer one."""

    code = "older_version"


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


def stem(name: str, version: str) -> str:
    """What reports of a pack are called, and the folder that it is made in: by its name, and by its version where that was named."""
    return name if version == FIRST else f"{name}@{version}"
