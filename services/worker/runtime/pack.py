"""Packs in a folder, by the task that each answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shared.automations import hashing
from shared.automations.pack import MANIFEST, Pack, read
from shared.errors import InvariantBroken


def load(folder: Path) -> Mapping[str, Pack]:
    """Packs by task, the oldest version of each; empty where the folder has no manifest. Raises as `versions`."""
    return {task: packs[0] for task, packs in versions(folder).items()}


def versions(folder: Path) -> Mapping[str, tuple[Pack, ...]]:
    """Packs by task, oldest version first: that one holds until somebody promotes another.

    Raises:
        InvariantBroken: the manifest is broken, two packs claim one version of a task, or one was trained with other hashing code.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return {}
    found: dict[str, dict[str, Pack]] = {}
    for pack in read(manifest):
        if pack.version in found.setdefault(pack.task, {}):
            raise InvariantBroken("two packs for one version of a task", task=pack.task, version=pack.version)
        if any(tier.kind == "linear" and tier.hashing != hashing.VERSION for tier in pack.tiers):
            raise InvariantBroken("a pack was trained with other hashing code", pack=pack.name)
        found[pack.task][pack.version] = pack
    return {task: tuple(sorted(packs.values(), key=lambda pack: pack.age)) for task, packs in found.items()}
