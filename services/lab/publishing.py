"""From a trained pack to a published one: gates, the files that people read, and the manifest last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from services.lab import manifest, report
from services.lab.answers import Answers, answers
from services.lab.examples import Example, parts
from services.lab.gates import Gate, directed, judged, ruled
from shared.automations.contract import Automation
from shared.automations.pack import Pack
from shared.errors import Rejected
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


class StillNeeded(Rejected):
    """A pack that stays published needs its file as it is, and a new pack has another of that name."""

    code = "still_needed"


def draft(folder: Path, name: str) -> Path:
    """Where a pack is made: what is published in ``folder`` is not touched before the gates are passed."""
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
    (made_in / f"{pack.name}-report.json").write_text(report.as_json(found, gates), encoding="utf-8")
    (made_in / f"{pack.name}-report.html").write_text(report.as_html(found, gates), encoding="utf-8")
    made = replace(pack, card=f"{pack.name}.md")
    (made_in / made.card).write_text(report.card(made), encoding="utf-8")
    return Published(made, tuple(gates), made_in)


def publish(judged: Sequence[Published], made_in: Path, folder: Path) -> list[Published]:
    """Moves what passed its gates from ``made_in`` into ``folder``, the manifest last, which keeps its other packs.

    The reports of a pack that failed go there too, unless one of its name is published, whose own they would replace.

    Raises:
        StillNeeded: before anything is moved.
    """
    passed = [found.pack for found in judged if not found.failed]
    others = [pack for pack in manifest.packs(folder) if pack.name not in {found.name for found in passed}]
    files = {name: artefact for pack in passed for name, artefact in pack.files.items()}
    needed = {name: pack.name for pack in others for name, found in pack.files.items() if found.sha256 != files.get(name, found).sha256}
    if needed:
        raise StillNeeded(files=needed)
    known = {pack.name for pack in others}
    told = [found for found in judged if found.pack.name not in known]
    for name in (*files, *(name for found in told for name in _read_by_people(found.pack))):
        (made_in / name).replace(folder / name)
    if passed:
        manifest.write(folder, [*others, *passed])
    _cleared(made_in, [name for found in judged for name in found.pack.files])
    return [replace(found, reports=folder) if found in told else found for found in judged]


def _read_by_people(pack: Pack) -> tuple[str, ...]:
    return f"{pack.name}-report.json", f"{pack.name}-report.html", pack.card


def _cleared(made_in: Path, files: Sequence[str]) -> None:
    for name in files:
        (made_in / name).unlink(missing_ok=True)
    for folder in (made_in, made_in.parent):
        # Checkpoints stay, and so do reports and other packs in the making.
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
