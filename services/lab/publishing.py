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
from shared.inference.models import Models


@dataclass(frozen=True, slots=True)
class Published:
    """``pack`` is in the manifest only where every gate was passed."""

    pack: Pack
    gates: tuple[Gate, ...]

    @property
    def failed(self) -> tuple[Gate, ...]:
        return tuple(gate for gate in self.gates if not gate.passed)


def publish(
    pack: Pack, folder: Path, examples: Sequence[Example], seed: int, automation: Automation | None = None, *, own_events: bool = False
) -> Published:
    """Judges the pack on its certification part and writes its report, card and, if it passes, the manifest.

    A manifest that is there keeps its other packs.

    Args:
        automation: that the pack is for; cases of its hard rules are judged too.
        own_events: the examples are its events, of a task with a generator; pairs of generated cases are judged too.
    """
    sample = parts(example for example in examples if example.label in pack.labels)["certify"]
    variant = pack.tiers[-1].artefacts[0].variant

    def ask(asked: Sequence[Example]) -> Answers:
        return answers(pack, folder, asked, variant)

    found, first = ask(sample), Models(folder, variant).scorer(pack, pack.tiers[0])
    gates = [*judged(pack, found, ask, sample, seed, first), *(ruled(automation, pack, ask, seed) if automation else ())]
    gates += directed(automation, pack.labels, ask, seed) if automation and own_events else ()
    (folder / f"{pack.name}-report.json").write_text(report.as_json(found, gates), encoding="utf-8")
    (folder / f"{pack.name}-report.html").write_text(report.as_html(found, gates), encoding="utf-8")
    made = replace(pack, card=f"{pack.name}.md")
    (folder / made.card).write_text(report.card(made), encoding="utf-8")
    published = Published(made, tuple(gates))
    if not published.failed:
        manifest.write(folder, [*(other for other in manifest.packs(folder) if other.name != made.name), made])
    return published
