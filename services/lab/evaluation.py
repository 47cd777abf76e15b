"""Packs by name, and what they make of labelled data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from services.lab.answers import Answers, answers
from services.lab.examples import Example
from services.lab.figures import figures, per_label
from shared.automations.pack import MANIFEST, Pack, Variant, read
from shared.errors import NotFound, Rejected
from shared.inference.models import Models

# Of labels, to show which are meant.
_NAMED: Final = 5


class NothingToJudge(Rejected):
    """No row has a label that is known."""

    code = "nothing_to_judge"


def find_pack(name: str, models: Path) -> tuple[Pack, Path]:
    """The pack that is meant, and its folder.

    Args:
        name: name or task of a pack in ``models``; a folder with the manifest of one pack; or, where it has several, ``FOLDER:NAME``.
            ``NAME@VERSION`` is one of several versions.

    Raises:
        NotFound: there is none, or more than one.
    """
    folder, wanted = _place(name, models)
    if not (folder / MANIFEST).is_file():
        raise NotFound("no manifest of models there", folder=str(folder))
    packs = read(folder / MANIFEST)
    called, _, version = wanted.partition("@")
    found = [pack for pack in packs if called in {"", pack.name, pack.task} and version in {"", pack.version}]
    if len(found) != 1:
        known = [f"{pack.name}@{pack.version}" for pack in found or packs]
        if found:
            raise NotFound("more than one pack: say which, as FOLDER:NAME or NAME@VERSION", name=name, known=known)
        raise NotFound("no such pack", name=name, known=known)
    return found[0], folder


def _place(name: str, models: Path) -> tuple[Path, str]:
    """The folder that is meant, and what is wanted of it: nothing where its only pack is."""
    before, _, wanted = name.rpartition(":")
    for folder, rest in ((name, ""), (before, wanted)):
        if folder and (Path(folder) / MANIFEST).is_file():
            return Path(folder), rest
    return models, name


def own_pack(name: str, models: Path) -> tuple[Pack, Path]:
    """As `find_pack`, but only in a folder of the user's own: what is shipped in ``models`` is not to be written.

    Raises:
        NotFound: no such folder, or not one such pack in it.
    """
    if _place(name, models)[0].resolve() == models.resolve():
        raise NotFound("certify needs a folder with a pack of your own", name=name)
    return find_pack(name, models)


def known(examples: Sequence[Example], *packs: Pack) -> list[Example]:
    """Examples whose label every pack knows.

    Raises:
        NothingToJudge: there is none.
    """
    labels = set.intersection(*(set(pack.labels) for pack in packs))
    found = [example for example in examples if example.label in labels]
    if not found:
        seen = sorted({example.label for example in examples})
        raise NothingToJudge(labelled_rows=len(examples), seen=seen[:_NAMED], known=sorted(labels)[:_NAMED])
    return found


def evaluate(pack: Pack, folder: Path, examples: Sequence[Example]) -> tuple[dict[str, Any], Answers]:
    """Figures of a pack, and its answers. Examples with labels that it does not know are counted as ``dropped``: every automatic answer
    to them is wrong, and no other figure sees them.

    The artefacts are those that this processor would run in production.

    Raises:
        NothingToJudge: it knows none of the labels.
    """
    n = len(known(examples, pack))
    variant: Variant = Models(folder).variant(pack)
    found = answers(pack, folder, examples, variant)
    made = figures(found, variant)
    about = {"pack": pack.name, "version": pack.version, "variant": variant, "n": n, "dropped": len(examples) - n}
    return {**about, **made, "level": pack.level, **_promised(made, pack.level), "labels": per_label(found)}, found


def _promised(made: dict[str, Any], level: str) -> dict[str, Any]:
    """Coverage and errors at the pack's own level, beside the other figures, where most look for them."""
    return {name: value for name, value in made["levels"].get(level, {}).items() if not isinstance(value, dict) and name != "n"}
