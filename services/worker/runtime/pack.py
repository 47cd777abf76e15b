"""Packs in a folder: the manifest, and the file of each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shared.automations import hashing
from shared.automations.pack import MANIFEST, Pack, parse
from shared.errors import InvariantBroken


def load(folder: Path) -> Mapping[tuple[str, str], Pack]:
    """Packs by (task, tier); empty where the folder has no manifest.

    Raises:
        InvariantBroken: the manifest is broken, two packs claim one place, or one was trained with other hashing code.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return {}
    found: dict[tuple[str, str], Pack] = {}
    for pack in parse(manifest.read_text(encoding="utf-8")):
        if (pack.task, pack.tier) in found:
            raise InvariantBroken("two packs for one tier", task=pack.task, tier=pack.tier)
        if pack.hashing != hashing.VERSION:
            raise InvariantBroken("a pack was trained with other hashing code", pack=pack.name, pack_version=pack.hashing)
        found[pack.task, pack.tier] = pack
    return found
