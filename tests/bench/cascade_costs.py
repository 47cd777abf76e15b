"""What a pack's cascade costs beside its large tier alone, at the same certified error: CPU time, reviews and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.lab.answers import answers
from services.lab.certify import Promise, Sample, certify
from services.lab.examples import split
from services.lab.thresholds import TierScores, decide, path

if TYPE_CHECKING:
    from pathlib import Path

    from services.lab.examples import Example
    from shared.automations.pack import Pack

# In one currency: an hour of one core, two minutes of a person, a wrong decision. Said in the report, because the ratio hangs on them.
CPU_HOUR, REVIEW, ERROR = 0.04, 1.0, 10.0
LEVEL = "0.02"


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one document.

    Attributes:
        coverage: share that is decided without a person, ``errors`` that is decided so and wrongly.
    """

    cpu_seconds: float
    coverage: float
    errors: float

    @property
    def total(self) -> float:
        return self.cpu_seconds / 3600 * CPU_HOUR + (1 - self.coverage) * REVIEW + self.errors * ERROR


def _costs(names: Sequence[str], tune: Sequence[TierScores], judged: Sequence[TierScores], cpu: Mapping[str, float]) -> Costs:
    """Certified anew on these labels at `LEVEL`, whichever tiers take part, so that all are compared alike."""
    found = certify(path(tune), tune, Sample(names=tuple(names), scores=tuple(judged)), Promise(level=LEVEL))
    decided = decide(judged, tuple(found.thresholds[name] for name in names))
    n = len(decided.accepted)
    asked = sum(cpu[name] * float((decided.tier >= position).mean()) for position, name in enumerate(names))
    return Costs(asked, decided.count / n, decided.errors / n)


def compared(pack: Pack, folder: Path, examples: Sequence[Example], cpu: Mapping[str, float]) -> Mapping[str, Costs]:
    """``cascade``, and each tier alone, on labels that the models have not seen.

    Args:
        cpu: CPU seconds per document by tier.
    """
    known = [example for example in examples if example.label in pack.labels]
    tune, judged = (
        dict(zip((tier.name for tier in pack.tiers), answers(pack, folder, part).scores(), strict=True))
        for part in ([e for e in known if split(e) == "tune"], [e for e in known if split(e) == "certify"])
    )
    names = list(tune)
    return {
        "cascade": _costs(names, [tune[name] for name in names], [judged[name] for name in names], cpu),
        **{name: _costs([name], [tune[name]], [judged[name]], cpu) for name in names},
    }
