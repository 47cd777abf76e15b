"""Whether the experiment behind a figure is sound: a broken one turns the figure red.

Three kinds of test on the same counts. The sequential one may be asked every day: the wealth of a bet that the arms were not drawn as
planned (M. Lindon, A. Malek, "Anytime-Valid Inference For Multinomial Count Data", Advances in Neural Information Processing Systems 35,
2022); it passes ``1/alpha`` with probability at most ``alpha``, ever. The chi-squares (K. Pearson, 1900) are the familiar figure of one
look, for the split and for strata. Shares of crossovers and of missing clocks have limits, because small ones are ordinary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from scipy.special import betaln, chdtrc

if TYPE_CHECKING:
    from collections.abc import Sequence

# A false alarm about the split turns right figures red: at most one deployment in a thousand.
ALPHA = 0.001
# Weight of the planned split in the bet, in cases: departures of some percent of a share are found first.
_PRIOR = 200.0
# Control cases that wait no longer than this say nothing: people have holidays. Fewer old ones than this are no pattern.
PATIENCE = timedelta(days=14)
_FEW = 5
# A chi-square needs this many expected in each cell (W. G. Cochran, 1954).
_EXPECTED = 5.0


class Verdict(StrEnum):
    """How a finding colours the figure."""

    SOUND = "sound"
    DOUBTFUL = "doubtful"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Cell:
    """Cases of one stratum that were drawn with one control share.

    Attributes:
        share: planned probability of the control arm.
        control, automated: cases drawn into each arm.
        crossed_control, crossed_automated: of those, cases that were handled as if in the other arm.
        unclocked_control, unclocked_automated: of those, cases that people worked on without a measured time.
    """

    stratum: str
    share: float
    control: int
    automated: int
    crossed_control: int = 0
    crossed_automated: int = 0
    unclocked_control: int = 0
    unclocked_automated: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on a finding is doubtful, or broken.

    Attributes:
        crossed, unclocked: shares from which a finding is doubtful, and broken.
        undecided: share of control cases left lying from which a finding is doubtful, never broken: which way it errs no figure can show.
        chance: a chi-square that is less likely than this is doubtful, never broken: asked every day it would be small sooner or later.
    """

    crossed: tuple[float, float] = (0.02, 0.10)
    unclocked: tuple[float, float] = (0.02, 0.10)
    undecided: float = 0.02
    chance: float = 0.001


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        name: ``split``, ``split_now``, ``strata``, ``crossovers``, ``clocks_control``, ``clocks_automated`` or ``undecided``.
        value: wealth for ``split``, probability of chance for ``split_now`` and ``strata``, a share otherwise; None where nothing can be
            said.
        observed, expected: control cases where the finding is about the split.
    """

    name: str
    value: float | None
    verdict: Verdict
    observed: int | None = None
    expected: float | None = None


@dataclass(frozen=True, slots=True)
class Integrity:
    """The report."""

    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of all findings."""
        order = list(Verdict)
        return max((finding.verdict for finding in self.findings), key=order.index, default=Verdict.SOUND)


def report(cells: Sequence[Cell], limits: Limits | None = None) -> Integrity:
    """Judge the arms of one automation since its experiment began."""
    bounds = limits or Limits()
    drawn = [cell for cell in cells if 0 < cell.share < 1 and cell.control + cell.automated > 0]
    control, automated = sum(cell.control for cell in drawn), sum(cell.automated for cell in drawn)
    crossed = sum(cell.crossed_control + cell.crossed_automated for cell in drawn)
    return Integrity(
        (
            _split(drawn),
            _split_now(drawn, bounds),
            _strata(drawn, bounds),
            _share("crossovers", crossed, control + automated, bounds.crossed),
            _share("clocks_control", sum(cell.unclocked_control for cell in drawn), control, bounds.unclocked),
            _share("clocks_automated", sum(cell.unclocked_automated for cell in drawn), automated, bounds.unclocked),
        )
    )


def undecided(old: int, drawn: int, limits: Limits | None = None) -> Finding:
    """Whether control cases are left lying, which are in no mean: those that are easy, or those that are long.

    Args:
        old: control cases drawn longer than `PATIENCE` ago, and not decided.
        drawn: control cases drawn longer than that ago.
    """
    if not drawn:
        return Finding("undecided", None, Verdict.SOUND)
    left = old >= _FEW and old / drawn > (limits or Limits()).undecided
    return Finding("undecided", old / drawn, Verdict.DOUBTFUL if left else Verdict.SOUND)


def wealth(control: int, automated: int, share: float) -> float:
    """Of a bet against one planned share; its logarithm is kept below that of the largest float."""
    a, b = _PRIOR * share, _PRIOR * (1 - share)
    gain = betaln(a + control, b + automated) - betaln(a, b) - control * math.log(share) - automated * math.log1p(-share)
    return math.exp(min(gain, 700.0))


def _counts(cells: Sequence[Cell], share: float) -> tuple[int, int]:
    same = [cell for cell in cells if cell.share == share]
    return sum(cell.control for cell in same), sum(cell.automated for cell in same)


def _split(cells: Sequence[Cell]) -> Finding:
    shares = sorted({cell.share for cell in cells})
    # Independent bets one after another multiply; a share that is used again goes on with its own counts.
    gain = math.exp(min(math.fsum(math.log(wealth(*_counts(cells, share), share)) for share in shares), 700.0))
    verdict = Verdict.BROKEN if gain >= 1 / ALPHA else Verdict.SOUND
    return Finding("split", gain, verdict, sum(cell.control for cell in cells), _expected(cells))


def _expected(cells: Sequence[Cell]) -> float:
    return math.fsum((cell.control + cell.automated) * cell.share for cell in cells)


def _split_now(cells: Sequence[Cell], limits: Limits) -> Finding:
    observed, expected = sum(cell.control for cell in cells), _expected(cells)
    variance = math.fsum((cell.control + cell.automated) * cell.share * (1 - cell.share) for cell in cells)
    if expected < _EXPECTED:
        return Finding("split_now", None, Verdict.SOUND, observed, expected)
    chance = float(chdtrc(1, (observed - expected) ** 2 / variance))
    return Finding("split_now", chance, Verdict.DOUBTFUL if chance < limits.chance else Verdict.SOUND, observed, expected)


def _strata(cells: Sequence[Cell], limits: Limits) -> Finding:
    """Whether each stratum was split as planned: one chi-square over all strata that are large enough."""
    terms = [_pearson([cell for cell in cells if cell.stratum == name]) for name in sorted({cell.stratum for cell in cells})]
    known = [term for term in terms if term is not None]
    if not known:
        return Finding("strata", None, Verdict.SOUND)
    chance = float(chdtrc(len(known), math.fsum(known)))
    return Finding("strata", chance, Verdict.DOUBTFUL if chance < limits.chance else Verdict.SOUND)


def _pearson(cells: Sequence[Cell]) -> float | None:
    expected = _expected(cells)
    total = sum(cell.control + cell.automated for cell in cells)
    if min(expected, total - expected) < _EXPECTED:
        return None
    variance = math.fsum((cell.control + cell.automated) * cell.share * (1 - cell.share) for cell in cells)
    return (sum(cell.control for cell in cells) - expected) ** 2 / variance


def _share(name: str, count: int, total: int, limits: tuple[float, float]) -> Finding:
    if total == 0:
        return Finding(name, None, Verdict.SOUND)
    share = count / total
    doubtful, broken = limits
    verdict = Verdict.BROKEN if share > broken else Verdict.DOUBTFUL if share > doubtful else Verdict.SOUND
    return Finding(name, share, verdict)
