"""What a pack's cascade costs beside its tiers alone: CPU time, reviews and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from services.lab import asking, mixing
from services.lab.answers import Answers, answers, mix
from services.lab.certify import Promise, Sample, certify, p_value
from services.lab.examples import parts
from services.lab.thresholds import TierScores, decide, path

if TYPE_CHECKING:
    from pathlib import Path

    from services.lab.examples import Example
    from shared.automations.pack import Pack

PROMISE: Final = Promise(level="0.02")
# In reviews of one case. Whoever asks for at most 2 % wrong decisions says that at 2 % deciding costs as much as reviewing: so one wrong
# decision costs fifty reviews. A core's hour is 0.04 where two minutes of a person are 1.
CPU_HOUR, REVIEW, ERROR = 0.04, 1.0, 1 / PROMISE.alpha


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one document.

    Attributes:
        coverage: share that is decided without a person, ``errors`` that is decided so and wrongly.
        asked: share of documents about which the last tier is asked.
    """

    cpu_seconds: float
    coverage: float
    errors: float
    asked: float = 1.0

    @property
    def total(self) -> float:
        return self.cpu_seconds / 3600 * CPU_HOUR + (1 - self.coverage) * REVIEW + self.errors * ERROR


PEOPLE: Final = Costs(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One pack's costs.

    Attributes:
        cascade: as it asks people least under the `PROMISE`; ``cheapest`` as its total is least under the same promise.
        alone: each tier with people behind it, and ``cheapest_alone`` likewise.
        single: each tier without people behind it, and ``people`` without any model.
    """

    cascade: Costs
    cheapest: Costs
    alone: Mapping[str, Costs]
    cheapest_alone: Mapping[str, Costs]
    single: Mapping[str, Costs]


@dataclass(frozen=True, slots=True)
class Tiers:
    """Some of a pack's tiers, cheapest first, with their answers to both halves of the labels and their CPU seconds."""

    names: tuple[str, ...]
    tune: tuple[TierScores, ...]
    judged: tuple[TierScores, ...]
    cpu: Mapping[str, float]

    def promised(self) -> Costs:
        """Certified anew, so that all are compared alike."""
        sample = Sample(names=self.names, scores=self.judged)
        found = certify(path(self.tune), self.tune, sample, PROMISE, floor=asking.floors(self.tune).highest(PROMISE))
        return self._costs(self.judged, tuple(found.thresholds[name] for name in self.names), found.floor)

    def cheapest(self) -> Costs:
        """The setting that costs least on *tune*, where one test on *certify* proves that it keeps the promise; else people decide."""
        floor = asking.floors(self.tune).highest(PROMISE)
        setting = min(path(self.tune), key=lambda setting: self._costs(self.tune, setting, floor).total)
        found = decide(self.judged, setting, floor)
        is_proven = p_value(found.errors, found.count, PROMISE.alpha) <= PROMISE.delta
        return self._costs(self.judged, setting, floor) if is_proven else PEOPLE

    def unattended(self) -> Costs:
        """Deciding whatever comes; only labels for people still go to them."""
        return self._costs(self.judged, (0.0,) * len(self.names))

    def _costs(self, scores: Sequence[TierScores], setting: tuple[float, ...], floor: float = 0.0) -> Costs:
        found = decide(scores, setting, floor)
        n = len(found.accepted)
        asked = [float((found.tier >= position).mean()) for position in range(len(self.names))]
        cpu = sum(self.cpu[name] * share for name, share in zip(self.names, asked, strict=True))
        return Costs(cpu, found.count / n, found.errors / n, asked[-1])


def remixed(pack: Pack, folder: Path, examples: Sequence[Example]) -> Pack:
    """With the mixture that the lab would give these tiers on these labels; the first keeps its temperature."""
    found = answers(pack, folder, parts(examples)["tune"])
    names, tiers = list(found.alone), [pack.tiers[0]]
    for index, tier in enumerate(pack.tiers[1:], start=1):
        weights = mixing.fit([found.alone[name] for name in names[: index + 1]], found.truth)
        tiers.append(replace(tier, mix={name: weight for name, weight in zip(names, weights, strict=False) if weight > 0}))
    return replace(pack, tiers=tuple(tiers))


def compared(pack: Pack, folder: Path, examples: Sequence[Example], cpu: Mapping[str, float]) -> Comparison:
    """The pack on labels that its models have not seen.

    Args:
        examples: those of *tune* and *certify*; others are left out.
        cpu: CPU seconds per document by tier.
    """
    known = parts(example for example in examples if example.label in pack.labels)
    tune, judged = (answers(pack, folder, known[part]) for part in ("tune", "certify"))
    whole = Tiers(tuple(tune.tiers), tune.scores(), judged.scores(), cpu)
    own = [_by_itself(name, tune, judged, cpu) for name in tune.tiers]
    return Comparison(
        cascade=whole.promised(),
        cheapest=whole.cheapest(),
        alone={tier.names[0]: tier.promised() for tier in own},
        cheapest_alone={tier.names[0]: tier.cheapest() for tier in own},
        single={**{tier.names[0]: tier.unattended() for tier in own}, "people": PEOPLE},
    )


def _by_itself(name: str, tune: Answers, judged: Answers, cpu: Mapping[str, float]) -> Tiers:
    """Without what the other tiers know, but with the temperature that suits it best."""
    (weight,) = mixing.fit([tune.alone[name]], tune.truth)
    tier = next(tier for tier in tune.pack.tiers if tier.name == name)
    alone = replace(tune.pack, tiers=(replace(tier, mix={name: weight}),))
    on_tune, on_judged = (mix(replace(found, pack=alone)).scores() for found in (tune, judged))
    return Tiers((name,), on_tune, on_judged, cpu)
