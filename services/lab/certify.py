"""Certificates: thresholds whose error among automatic decisions is provably at most alpha.

Learn-then-Test (Angelopoulos, Bates, Candès, Jordan and Lei, 2021): settings are put in order, safest first, without a look at the
certification labels; each is tested with the exact binomial p-value of "the true error exceeds alpha". The tests form a fallback sequence
(Wiens and Dmitrienko, 2005): a few starts, chosen on the tuning labels, share delta, and a setting that passes hands its share to the next.
So the error of whatever setting passed exceeds alpha with probability at most delta over the certification sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import beta, binom

from services.lab.thresholds import Decided, Setting, TierScores, decide
from shared.automations.pack import NEVER, Bound, Certificate, Variant

DELTA: Final = 0.05
# Fewer accepted labels of a group say too little about it.
GROUP_LABELS: Final = 300
# One start at the safe end is lost where the surest answers hold a few errors; each further one makes every proof a little harder.
_STARTS: Final = 4
# The first setting should accept so many times what a proof without any error needs, or bad luck leaves it unproven.
_ROOM: Final = 1.3
# The last start is where the tuning labels err this much less than is promised.
_MARGIN: Final = 0.8


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
    return float(binom.cdf(errors, accepted, alpha)) if accepted else 1.0


def upper_bound(errors: int, n: int, confidence: float = 1 - DELTA) -> float:
    """One-sided Clopper-Pearson bound of a proportion; 1 where nothing was seen."""
    return 1.0 if errors >= n else float(beta.ppf(confidence, errors + 1, n - errors))


def fewest(alpha: float, delta: float = DELTA) -> int:
    """Accepted labels without an error that prove an error of at most ``alpha``: 149 for 2 % at 5 %."""
    return int(np.ceil(np.log(delta) / np.log1p(-alpha)))


def starts(path: Sequence[Setting], tune: Sequence[TierScores], n_certify: int, promise: Promise) -> list[int]:
    """Where walks begin, by the tuning labels: from the safest setting that accepts enough for a proof to the cheapest that looks safe."""
    share = promise.delta / _STARTS
    wanted = _ROOM * fewest(promise.alpha, share) * len(tune[0].confidence) / max(n_certify, 1)
    found = [decide(tune, setting) for setting in path]
    first = next((index for index, decided in enumerate(found) if decided.count >= wanted), len(path) - 1)
    safe = [index for index, decided in enumerate(found) if decided.errors <= _MARGIN * promise.alpha * decided.count]
    last = max([first, *safe])
    return sorted({round(first + (last - first) * step / (_STARTS - 1)) for step in range(_STARTS)})


def walk(candidates: Sequence[Decided], begin: Sequence[int], promise: Promise) -> int | None:
    """Position of the last setting that passes its test; None where none does. ``begin`` are the positions of the starts."""
    chosen, passed_on = None, 0.0
    for position, candidate in enumerate(candidates):
        share = passed_on + (promise.delta / len(begin) if position in begin else 0.0)
        is_proven = share > 0 and p_value(candidate.errors, candidate.count, promise.alpha) <= share
        chosen, passed_on = (position, share) if is_proven else (chosen, 0.0)
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
    """Labels to certify on, as the tiers see them; ``sha256`` names them, and ``groups`` may be empty."""

    names: tuple[str, ...]
    scores: tuple[TierScores, ...]
    sha256: str = ""
    groups: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        return len(self.scores[0].confidence)


def certify(path: Sequence[Setting], tune: Sequence[TierScores], sample: Sample, promise: Promise, variant: Variant = "any") -> Certificate:
    """The cheapest setting of ``path`` whose promise the sample proves; one that decides nothing where it proves none."""
    tried = [decide(sample.scores, setting) for setting in path]
    position = walk(tried, starts(path, tune, sample.n, promise), promise)
    setting = tuple(NEVER for _ in sample.names) if position is None else path[position]
    found = decide(sample.scores, setting)
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
        variant=variant,
        data_sha256=sample.sha256,
        decided=_by_tier(found, sample.names),
        groups=group_bounds(found, sample.groups, promise.delta) if sample.groups else {},
    )


def _by_tier(found: Decided, names: Sequence[str]) -> Mapping[str, int]:
    return {name: int((found.accepted & (found.tier == index)).sum()) for index, name in enumerate(names)}
