"""Files in the folder of packs: named by their content, there before a manifest names them, gone only after none does.

So whoever reads the folder meets one whole manifest and every file of it, at any instant and wherever a publisher was stopped.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from shared.automations.pack import Artefact, Pack

# Of the SHA-256 in hexadecimal.
_DIGITS: Final = 12
_OWN: Final = re.compile(rf".+-([0-9a-f]{{{_DIGITS}}})\.(?:onnx|json|md)")


def name_of(file: str, sha256: str) -> str:
    """``claims-nano.onnx`` is ``claims-nano-b3ed7fec4de4.onnx``; a name that says its content already stays."""
    path, mark = Path(file), f"-{sha256[:_DIGITS]}"
    return file if path.stem.endswith(mark) else f"{path.stem}{mark}{path.suffix}"


def by_content(pack: Pack) -> Pack:
    """The pack with its model files named by their content."""

    def named(artefact: Artefact) -> Artefact:
        return replace(artefact, file=name_of(artefact.file, artefact.sha256))

    tiers = [
        replace(tier, artefacts=tuple(map(named, tier.artefacts)), tokenizer=named(tier.tokenizer) if tier.tokenizer else None)
        for tier in pack.tiers
    ]
    return replace(pack, tiers=tuple(tiers))


def names(packs: Iterable[Pack]) -> set[str]:
    """Every file that a manifest of these packs names."""
    return {name for pack in packs for name in (*pack.files, pack.card, pack.notice) if name}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One publisher at a time. Where the file system locks no folder, as NFS, nobody waits for another."""
    place = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)


def place(made_in: Path, folder: Path, moved: Mapping[str, str]) -> None:
    """Moves files from ``made_in`` into ``folder``, where they have other names; they are on the disk when this returns."""
    for before, after in moved.items():
        synced(made_in / before)
        (made_in / before).replace(folder / after)
    synced(folder)


def synced(path: Path) -> None:
    """A file's content, or a folder's entries, are on the disk when this returns."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def sweep(folder: Path, kept: Collection[str], drafted: Collection[str]) -> None:
    """Removes what publishers have left of packs that are gone: files whose names say their content, and those of ``drafted`` names, as
    files were called before names said that. Nobody else's file is touched.
    """
    for path in sorted(folder.iterdir()):
        if path.name not in kept and path.is_file() and (path.name in drafted or _says_its_content(path)):
            path.unlink()


def _says_its_content(path: Path) -> bool:
    found = _OWN.fullmatch(path.name)
    return found is not None and hashlib.sha256(path.read_bytes()).hexdigest().startswith(found[1])
