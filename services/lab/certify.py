"""Certificates: thresholds whose error among automatic decisions is provably at most alpha.

Learn-then-Test (Angelopoulos, Bates, Candès, Jordan and Lei, 2021) with a fixed sequence: settings are put in order, safest first, and the
tuning labels say where to begin; on the certification labels each is tested with the exact binomial p-value of "the true error exceeds
alpha", until one is not rejected. So no correction for their number is needed, and the error of the chosen one exceeds alpha with
probability at most delta over the certification sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import bdtr, betaincinv

from services.lab.thresholds import Decided, Setting, TierScores, decide, tally
from shared.automations.pack import NEVER, Bound, Certificate, Variant
from shared.measure.drift import by_tenth

DELTA: Final = 0.05
# Fewer accepted labels of a group say too little about it.
GROUP_LABELS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What is to be certified: at most ``alpha`` of the automatic decisions wrong, and that false with probability ``delta`` at most."""

    level: str
    delta: float = DELTA

    @property
    def alpha(self) -> float:
        return float(self.level)


def p_value(errors: int, accepted: int, alpha: float) -> float:
    """Probability of at most that many errors if the true share were ``alpha``; 1 where nothing was accepted."""
    return float(bdtr(errors, accepted, alpha)) if accepted else 1.0


def upper_bound(errors: int, n: int, confidence: float = 1 - DELTA) -> float:
    """One-sided Clopper-Pearson bound of a proportion; 1 where nothing was seen."""
    return 1.0 if errors >= n else float(betaincinv(errors + 1, n - errors, confidence))


def fewest(alpha: float, delta: float = DELTA) -> int:
    """Accepted labels without an error that prove an error of at most ``alpha``: 149 for 2 % at 5 %."""
    return int(np.ceil(np.log(delta) / np.log1p(-alpha)))


def _allowed(accepted: int, promise: Promise) -> int:
    """The most errors that still prove the promise; -1 where not even none does."""
    counts = np.arange(int(promise.alpha * accepted) + 2)
    return int((bdtr(counts, max(accepted, 1), promise.alpha) <= promise.delta).sum()) - 1


def _chances(path: Sequence[Setting], tune: Sequence[TierScores], n_certify: int, promise: Promise, floor: float) -> list[float]:
    """Of each setting, that so many certification labels prove it, judged by the tuning labels."""
    found, chances = tally(tune, path, (floor,)), []
    for count, errors in zip(found.accepted[:, 0].tolist(), found.errors[:, 0].tolist(), strict=True):
        accepted = count * n_certify // max(len(tune[0].confidence), 1)
        allowed = _allowed(accepted, promise)
        chances.append(float(bdtr(allowed, accepted, (errors + 0.5) / (count + 1))) if allowed >= 0 else 0.0)
    return chances


def _likeliest(chances: Sequence[float]) -> int:
    return len(chances) - 1 - int(np.argmax(chances[::-1]))


def start(path: Sequence[Setting], tune: Sequence[TierScores], n_certify: int, promise: Promise, floor: float = 0.0) -> int:
    """Where the walk begins: the setting that is likeliest to pass, judged by the tuning labels; among equals the one that asks least.

    The safest setting accepts so few that one error fails it; the cheapest errs too often; in between the proof is easiest.
    """
    return _likeliest(_chances(path, tune, n_certify, promise, floor))


def starts(path: Sequence[Setting], tune: Sequence[TierScores], n_certify: int, promised: Mapping[Promise, float]) -> dict[Promise, int]:
    """Where the walk of each promise, with its floor, begins: as `start` says, but no later than that of a stricter promise.

    Chance may fail a looser one at a later setting, and leave it without what the stricter one proves. Stricter ones that themselves have
    no chance are passed over: where they begin says nothing.
    """
    begins: dict[Promise, int] = {}
    latest = len(path)
    for promise, floor in sorted(promised.items(), key=lambda found: found[0].alpha):
        chances = _chances(path, tune, n_certify, promise, floor)
        begin = _likeliest(chances)
        begins[promise] = min(begin, latest)
        if chances[begin] > promise.delta:
            latest = begins[promise]
    return begins


def walk(candidates: Iterable[Decided], promise: Promise) -> int | None:
    """Position of the last setting before the first whose error is not proven; None: not even the first is."""
    chosen: int | None = None
    for position, candidate in enumerate(candidates):
        if p_value(candidate.errors, candidate.count, promise.alpha) > promise.delta:
            break
        chosen = position
    return chosen


def group_bounds(found: Decided, groups: Sequence[str], delta: float = DELTA) -> dict[str, Bound]:
    """The bound of every group with at least `GROUP_LABELS` accepted labels, each with confidence 1 - ``delta``."""
    names = np.asarray(groups, dtype=object)
    bounds: dict[str, Bound] = {}
    for name in sorted(set(groups)):
        inside = found.accepted & (names == name)
        accepted, errors = int(inside.sum()), int((inside & found.wrong).sum())
        if accepted >= GROUP_LABELS:
            bounds[name] = Bound(accepted=accepted, errors=errors, upper=round(upper_bound(errors, accepted, 1 - delta), 6))
    return bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Labels to certify on, as the tiers see them; ``sha256`` names them, and ``groups`` may be empty.

    Attributes:
        whole: the same with copies of cases, which must not break the promise either: some inputs are frequent, and a wrong answer to one
            is wrong each time. Empty: there are none.
    """

    names: tuple[str, ...]
    scores: tuple[TierScores, ...]
    sha256: str = ""
    groups: tuple[str, ...] = ()
    whole: tuple[TierScores, ...] = ()

    @property
    def n(self) -> int:
        return len(self.scores[0].confidence)


def certify(  # noqa: PLR0913 - what the tuning labels have chosen is told by name
    path: Sequence[Setting],
    tune: Sequence[TierScores],
    sample: Sample,
    promise: Promise,
    variant: Variant = "any",
    *,
    floor: float = 0.0,
    begin: int | None = None,
) -> Certificate:
    """The cheapest setting of ``path`` whose promise the sample proves; one that decides nothing where it proves none.

    Args:
        floor: as in `decide`; the tuning labels alone must have chosen it.
        begin: where the walk does, which they must have chosen too; by default as `start` says.
    """
    begin = start(path, tune, sample.n, promise, floor) if begin is None else begin
    proven = [
        walk((decide(scores, setting, floor) for setting in path[begin:]), promise) for scores in (sample.scores, sample.whole) if scores
    ]
    position = None if None in proven else min(found for found in proven if found is not None)
    setting = tuple(NEVER for _ in sample.names) if position is None else path[begin + position]
    # Where nothing is proven, people see what all tiers propose.
    floor = 0.0 if position is None else floor
    found = decide(sample.scores, setting, floor)
    return Certificate(
        level=promise.level,
        alpha=promise.alpha,
        delta=promise.delta,
        thresholds=dict(zip(sample.names, setting, strict=True)),
        n=sample.n,
        accepted=found.count,
        errors=found.errors,
        upper=round(upper_bound(found.errors, found.count, 1 - promise.delta), 6),
        coverage=round(found.count / sample.n, 6) if sample.n else 0.0,
        floor=floor,
        variant=variant,
        data_sha256=sample.sha256,
        decided=_by_tier(found, sample.names),
        groups=group_bounds(found, sample.groups, promise.delta) if sample.groups else {},
        scores=reached(found, sample),
    )


def _by_tier(found: Decided, names: Sequence[str]) -> Mapping[str, int]:
    return {name: int((found.accepted & (found.tier == index)).sum()) for index, name in enumerate(names)}


def reached(found: Decided, sample: Sample) -> Mapping[str, tuple[int, ...]]:
    """By tier, its scores by tenth, of the labels that reach it: a later one sees only the hard cases, in production too."""
    tiers = zip(sample.names, sample.scores, strict=True)
    return {name: by_tenth(tier.confidence[found.tier >= index]) for index, (name, tier) in enumerate(tiers)}
