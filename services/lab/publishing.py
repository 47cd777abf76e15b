"""From a trained pack to a published one: gates, then its files, the manifest that names them, and reports for people."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from services.lab import files, manifest, report, versions
from services.lab.answers import Answers, answers
from services.lab.examples import Example, parts
from services.lab.gates import Gate, directed, judged, ruled
from shared.automations.contract import Automation
from shared.automations.pack import Pack
from shared.inference.models import Models


@dataclass(frozen=True, slots=True)
class Published:
    """``pack`` is in the manifest only where every gate was passed; ``reports`` is the folder of its card and reports."""

    pack: Pack
    gates: tuple[Gate, ...]
    reports: Path

    @property
    def failed(self) -> tuple[Gate, ...]:
        return tuple(gate for gate in self.gates if not gate.passed)


def draft(folder: Path, name: str) -> Path:
    """Where a pack is made, whose name `versions.stem` gives: ``folder`` is not touched before the gates are passed."""
    return folder / ".work" / name


def judge(
    pack: Pack, made_in: Path, examples: Sequence[Example], seed: int, automation: Automation | None = None, *, own_events: bool = False
) -> Published:
    """Judges the pack on its certification part and writes its report and card beside its files.

    Args:
        automation: that the pack is for; cases of its hard rules are judged too.
        own_events: the examples are its events, of a task with a generator; pairs of generated cases are judged too.
    """
    sample = parts(examples)["certify"]
    known = [example for example in sample if example.label in pack.labels]
    variant = pack.tiers[-1].artefacts[0].variant

    def ask(asked: Sequence[Example]) -> Answers:
        return answers(pack, made_in, asked, variant)

    found, first = ask(sample), Models(made_in, variant).scorer(pack, pack.tiers[0])
    gates = [*judged(pack, found.known(), ask, known, seed, first), *(ruled(automation, pack, ask, seed) if automation else ())]
    gates += directed(automation, pack.labels, ask, seed) if automation and own_events else ()
    json, html = reports(pack)
    (made_in / json).write_text(report.as_json(found, gates), encoding="utf-8")
    (made_in / html).write_text(report.as_html(found, gates), encoding="utf-8")
    made = replace(pack, card=f"{versions.stem(pack.name, pack.version)}.md")
    (made_in / made.card).write_text(report.card(files.by_content(made)), encoding="utf-8")
    return Published(made, tuple(gates), made_in)


def reports(pack: Pack) -> tuple[str, str]:
    """Names of the reports for people, in JSON and in HTML."""
    stem = versions.stem(pack.name, pack.version)
    return f"{stem}-report.json", f"{stem}-report.html"


def publish(judged: Sequence[Published], made_in: Path, folder: Path) -> list[Published]:
    """Moves what passed its gates from ``made_in`` into ``folder``, whose manifest keeps its other packs and versions.

    Model files and cards first, under names that say their content; then old reports go, and the manifest comes, by one renaming; then
    new reports, whose names are always the same; at last files go that neither this manifest nor the one before it names. Files of the
    one before stay until another pack is published, because a process that runs reads a model when it first needs it. Whoever is stopped
    in between and begins again ends with the same folder.

    The reports of a pack that failed go there too, unless one of its name and version is published, whose own they would replace.

    Returns:
        What was judged; packs as the manifest has them.

    Raises:
        OtherEvents: a pack takes other events than another version of its task; nothing is published.
    """
    with files.locked(folder):
        before = manifest.packs(folder)
        passed = {_identity(found.pack): _final(found.pack, made_in) for found in judged if not found.failed}
        others = {_identity(pack): pack for pack in before if _identity(pack) not in passed}
        for pack in passed.values():
            if pack.declares is not None:
                versions.refuse_other_events(pack.declares, pack, before, versions.numbers_of(pack))
        told = [found for found in judged if _identity(found.pack) not in others]
        if passed:
            moved = _moved([found.pack for found in judged if not found.failed], list(passed.values()))
            files.place(made_in, folder, moved)
            after = [*others.values(), *passed.values()]
            _forget(told, folder)
            manifest.write(folder, after)
        for found in told:
            _tell(found, made_in, folder)
        if passed:
            files.sweep(folder, files.names([*before, *after]), moved)
    _cleared(made_in, [name for found in judged for name in found.pack.files])
    return [
        replace(found, pack=passed.get(_identity(found.pack), found.pack), reports=folder if found in told else found.reports)
        for found in judged
    ]


def _identity(pack: Pack) -> tuple[str, str]:
    return pack.name, pack.version


def _final(pack: Pack, made_in: Path) -> Pack:
    """With the names that its files will have."""
    card = hashlib.sha256((made_in / pack.card).read_bytes()).hexdigest()
    return replace(files.by_content(pack), card=files.name_of(pack.card, card))


def _moved(drafts: Sequence[Pack], final: Sequence[Pack]) -> dict[str, str]:
    """From names in the draft to names in the folder; packs may share files."""
    found: dict[str, str] = {}
    for before, after in zip(drafts, final, strict=True):
        found |= dict(zip((*before.files, before.card), (*after.files, after.card), strict=True))
    return found


def _forget(told: Sequence[Published], folder: Path) -> None:
    """Whoever is stopped before the new reports are there leaves none: old ones beside new models would tell of others."""
    for name in (name for found in told if not found.failed for name in reports(found.pack)):
        (folder / name).unlink(missing_ok=True)


def _tell(found: Published, made_in: Path, folder: Path) -> None:
    """Reports; and the card of a pack that failed, which no manifest names."""
    for name in (*reports(found.pack), *((found.pack.card,) if found.failed else ())):
        (made_in / name).replace(folder / name)


def _cleared(made_in: Path, names: Sequence[str]) -> None:
    for name in names:
        (made_in / name).unlink(missing_ok=True)
    for folder in (made_in, made_in.parent):
        # Checkpoints stay, and so do reports and other packs in the making.
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
