"""Packs in a folder, by the task that each answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shared.automations import hashing
from shared.automations.pack import MANIFEST, Pack, parse
from shared.errors import InvariantBroken


def load(folder: Path) -> Mapping[str, Pack]:
    """Packs by task; empty where the folder has no manifest.

    Raises:
        InvariantBroken: the manifest is broken, two packs claim one task, or one was trained with other hashing code.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return {}
    found: dict[str, Pack] = {}
    for pack in parse(manifest.read_text(encoding="utf-8")):
        if pack.task in found:
            raise InvariantBroken("two packs for one task", task=pack.task)
        if any(tier.kind == "linear" and tier.hashing != hashing.VERSION for tier in pack.tiers):
            raise InvariantBroken("a pack was trained with other hashing code", pack=pack.name)
        found[pack.task] = pack
    return found
