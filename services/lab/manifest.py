"""A pack goes into the manifest of its folder; the folder's other packs stay."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from services.lab.files import synced
from shared.automations.pack import MANIFEST, Pack, parse, read, render


def packs(folder: Path) -> tuple[Pack, ...]:
    """Of the folder's manifest; empty where there is none. Raises as `read`."""
    manifest = folder / MANIFEST
    return read(manifest) if manifest.is_file() else ()


def write(folder: Path, made: Iterable[Pack]) -> None:
    """Raises InvariantBroken, and writes nothing, where the manifest could not be read again."""
    text = render(made)
    parse(text)
    fresh = folder / f".{MANIFEST}.new"
    fresh.write_bytes(text.encode())
    synced(fresh)
    # Whoever is stopped meanwhile leaves the old manifest whole.
    fresh.replace(folder / MANIFEST)
    synced(folder)
