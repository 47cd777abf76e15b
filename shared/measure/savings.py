"""Seconds that automation saved on the cases it really handled, with a 95 % interval: pure arithmetic on sums and sums of squares.

What is estimated is the realised total on the automated cases, the sum of ``Y(0) - Y(1)``: how long they would have taken by hand minus the
human seconds that were spent on them. The second half is observed. The first half is the number of automated cases times the mean of the
control cases of the same stratum. Its error has two parts, the control mean and the automated cases' own scatter around the true mean:
variance ``n_a^2 * s_c^2 * (1/n_c + 1/n_a)`` per stratum. Human seconds on automated cases add no variance, because they are known.

This is the sample average treatment effect on the treated, times their number: J. S. Sekhon, Y. Shem-Tov, "Inference on a New Class of
Sample Average Treatment Effects", Journal of the American Statistical Association 116 (2021). Long tails: `skewness`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING

from shared.measure.baselines import EMPTY, Baseline, Grade, Moments, worst
from shared.measure.skewness import Number, log_normal_third, reach

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Fewer control cases than this say too little about a mean of heavy-tailed times.
MINIMUM_CONTROL = 30
# Name of the group that strata with too few control cases form together, and of the stored baseline for every stratum without its own.
EVERY_OTHER = "*"
CONFIDENCE = 0.95
_NORMAL_QUANTILE = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True, slots=True)
class Fit:
    """What manual handling costs, by group of strata.

    Attributes:
        groups: stratum to group.
        baselines: group to baseline; a group without one is missing.
        control_cases: concurrent control cases in all strata together.
    """

    groups: Mapping[str, str]
    baselines: Mapping[str, Baseline]
    control_cases: int

    def group_of(self, stratum: str) -> str:
        return self.groups.get(stratum, EVERY_OTHER)

    def baseline_of(self, stratum: str) -> Baseline | None:
        return self.baselines.get(self.group_of(stratum))


@dataclass(frozen=True, slots=True)
class Spread:
    """One independent part of an estimate's error.

    Attributes:
        variance: in seconds squared.
        degrees: of freedom that it was estimated with.
        third: third central moment, in seconds cubed; negative where the automated cases' own scatter is the larger part.
    """

    variance: float
    degrees: int
    third: float = 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds saved.

    Attributes:
        cases: cases of the automated arm.
        covered: those of them that have a baseline; only these are in the figures.
        point: None where no case has a baseline.
        low, high: None where the baseline has no spread (grade D).
        grade: the worst evidence in it; None without any.
        note: what a reader must know beside the figure, or None.
        spreads: for `combine`.
    """

    cases: int
    covered: int
    point: float | None
    low: float | None
    high: float | None
    grade: Grade | None
    note: str | None
    spreads: tuple[Spread, ...] = ()

    @property
    def floor(self) -> float:
        """At least this much: the lower bound; without one, nothing is claimed but a loss."""
        return self.low if self.low is not None else min(0.0, self.point or 0.0)


def fit(control: Mapping[str, Moments], strata: Iterable[str], stored: Mapping[str, Baseline]) -> Fit:
    """Choose a baseline for every stratum.

    Args:
        control: seconds of concurrent control cases, by stratum.
        strata: every stratum that needs a baseline.
        stored: imported, studied or declared baselines by stratum (`EVERY_OTHER` for the rest), expired ones already graded D. Used only
            where there are fewer than `MINIMUM_CONTROL` concurrent control cases altogether: a concurrent randomised control wins.
    """
    names = sorted({*control, *strata})
    counted = sum(moments.n for moments in control.values())
    if counted < MINIMUM_CONTROL:
        found = {name: stored.get(name) or stored.get(EVERY_OTHER) for name in [*names, EVERY_OTHER]}
        return Fit({name: name for name in names}, {name: b for name, b in found.items() if b is not None}, counted)
    pooled = _too_small(control, names)
    groups = {name: EVERY_OTHER if name in pooled else name for name in names}
    sums: dict[str, Moments] = {}
    for name in names:
        sums[groups[name]] = sums.get(groups[name], EMPTY) + control.get(name, EMPTY)
    return Fit(groups, {group: Baseline.measured(moments) for group, moments in sums.items() if moments.n}, counted)


def estimate(fitted: Fit, automated: Mapping[str, Moments]) -> Estimate:
    """Seconds saved on these automated cases: all of the fitted period, or a part of it.

    Parts of one period share their baselines, so their intervals do not add up to the interval of the whole; points do.
    """
    groups: dict[str, Moments] = {}
    for stratum, moments in automated.items():
        group = fitted.groups.get(stratum, EVERY_OTHER)
        groups[group] = groups.get(group, EMPTY) + moments
    pairs = [(moments, fitted.baselines.get(group)) for group, moments in sorted(groups.items()) if moments.n]
    covered = [(moments, baseline) for moments, baseline in pairs if baseline is not None]
    spreads = [_spread(moments, baseline) for moments, baseline in covered]
    return _estimate(
        cases=sum(moments.n for moments, _ in pairs),
        covered=sum(moments.n for moments, _ in covered),
        point=math.fsum(moments.n * baseline.mean - moments.total for moments, baseline in covered) if covered or not pairs else None,
        grade=worst(baseline.grade for _, baseline in covered),
        spreads=None if None in spreads else tuple(spread for spread in spreads if spread is not None),
        note=_note(fitted, pairs),
    )


def combine(estimates: Iterable[Estimate]) -> Estimate:
    """The sum of independent estimates, such as those of several automations; the ones without a figure only add their cases."""
    parts = list(estimates)
    if len(parts) == 1:
        return parts[0]
    known = [part for part in parts if part.point is not None]
    measured = all(part.low is not None for part in known)
    notes = [part.note for part in parts if part.note is not None]
    return _estimate(
        cases=sum(part.cases for part in parts),
        covered=sum(part.covered for part in parts),
        point=math.fsum(part.point or 0.0 for part in known) if known or not parts else None,
        grade=worst(part.grade for part in known if part.grade is not None),
        spreads=tuple(spread for part in known for spread in part.spreads) if measured else None,
        note="; ".join(dict.fromkeys(notes)) or None,
    )


def worth(found: Estimate, price: float) -> Estimate:
    """What the seconds are worth at a price of one, with its interval."""
    ends = (None if end is None else end * price for end in (found.point, found.low, found.high))
    point, low, high = ends
    spreads = tuple(Spread(s.variance * price**2, s.degrees, s.third * price**3) for s in found.spreads)
    return replace(found, point=point, low=low, high=high, spreads=spreads)


def quantile(degrees: Number) -> Number:
    """Two-sided 95 % quantile of Student's t: Cornish-Fisher series around the normal one (Abramowitz, Stegun, 26.7.5)."""
    z = _NORMAL_QUANTILE
    first, second, third = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + first / degrees + second / degrees**2 + third / degrees**3 + fourth / degrees**4


def _too_small(control: Mapping[str, Moments], names: list[str]) -> set[str]:
    """Strata that share one baseline; larger ones join, smallest first, until the group is large enough by itself."""
    sizes = {name: control.get(name, EMPTY).n for name in names}
    pooled = {name for name, size in sizes.items() if size < MINIMUM_CONTROL}
    for name in sorted(set(names) - pooled, key=lambda name: (sizes[name], name)):
        if not pooled or sum(sizes[member] for member in pooled) >= MINIMUM_CONTROL:
            break
        pooled.add(name)
    return pooled


def _spread(automated: Moments, baseline: Baseline) -> Spread | None:
    if baseline.variance is None or baseline.n < 2:
        return None
    third = log_normal_third(baseline.mean, baseline.variance) * automated.n * ((automated.n / baseline.n) ** 2 - 1)
    return Spread(automated.n**2 * baseline.variance * (1 / baseline.n + 1 / automated.n), baseline.n - 1, third)


def _reach(spreads: tuple[Spread, ...]) -> tuple[float, float]:
    """Seconds below and above the point."""
    variance = math.fsum(spread.variance for spread in spreads)
    # Welch and Satterthwaite: degrees of freedom of a sum of estimated variances.
    welch = math.fsum(spread.variance**2 / spread.degrees for spread in spreads)
    # What is too small to be squared is a rounding error.
    if welch <= 0:
        return 0.0, 0.0
    degrees = variance**2 / welch
    error = math.sqrt(variance)
    skewness = max(0.0, math.fsum(spread.third for spread in spreads) / error**3)
    below, above = reach(quantile(degrees), skewness, float(sum(spread.degrees + 1 for spread in spreads)))
    return below * error, above * error


def _estimate(
    *, cases: int, covered: int, point: float | None, grade: Grade | None, spreads: tuple[Spread, ...] | None, note: str | None
) -> Estimate:
    if point is None or spreads is None:
        return Estimate(cases, covered, point, None, None, grade, note)
    below, above = _reach(spreads)
    return Estimate(cases, covered, point, point - below, point + above, grade, note, spreads)


def _note(fitted: Fit, pairs: list[tuple[Moments, Baseline | None]]) -> str | None:
    missing = sum(moments.n for moments, baseline in pairs if baseline is None)
    used = [baseline for _, baseline in pairs if baseline is not None]
    if not pairs:
        return None
    if not used:
        return f"no baseline: {fitted.control_cases} of {MINIMUM_CONTROL} control cases and none stored"
    notes = [f"{missing} cases have no baseline and are not counted"] if missing else []
    if any(baseline.expired for baseline in used):
        notes.append("expired baseline: counts as declared, no interval")
    elif any(baseline.grade is Grade.D for baseline in used):
        notes.append("declared, no interval")
    elif any(baseline.variance is None or baseline.n < 2 for baseline in used):
        notes.append("baseline without spread, no interval")
    return "; ".join(notes) or None
