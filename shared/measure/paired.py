"""How much more often a new version is wrong than the present one, on the same cases, with an interval that holds at every look.

Both versions have said something about every case; the truth is known of those that a person decided without help, in the control arm or
as an audit. A case whose truth is seen with probability ``q`` adds ``d / q``, where ``d`` is 1 if only the new version was wrong, -1 if
only the present one was, else 0; a case whose truth is not seen adds 0. The mean of that is the difference of the two error rates (Horvitz
and Thompson, 1952), whatever share is looked at and however it changes.

The interval is exact, not asymptotic, because wrong decisions are rare and an interval from a normal law would close around zero before
the first one is seen. It inverts bets: against "the mean is at most m" one stakes a fixed share of one's wealth on each case, in several
sizes at once, and ``m`` is given up when the wealth passes ``2 / alpha``; and the same from above. I. Waudby-Smith, A. Ramdas, "Estimating
means of bounded random variables by betting", Journal of the Royal Statistical Society B 86 (2024), sections 3 and 4. With fixed sizes
the wealth depends on how often each value came, not on the order, so that sums in the database are enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

ALPHA = 0.05
# Stakes as shares of the largest that never loses everything. Small ones find small differences among many cases.
_STAKES = tuple(0.9 / 2**k for k in range(14))
_HALVINGS = 50
_NOT_ZERO = 1e-9


class Count(NamedTuple):
    """So many cases of one kind.

    Attributes:
        seen: probability with which the truth about such a case is seen, 0 < seen <= 1, known before it is.
        difference: 1, 0 or -1; 0 too where the truth was not seen.
    """

    seen: float
    difference: int
    cases: int


@dataclass(frozen=True, slots=True)
class Interval:
    """Error rate of the new version less that of the present one, -1..1.

    Attributes:
        cases: behind it, seen or not.
    """

    point: float
    low: float
    high: float
    cases: int

    @property
    def is_worse(self) -> bool:
        """Proven: such a record comes to a version that is no worse with probability ``alpha / 2`` at most, however long one looks."""
        return self.low > 0

    def is_at_most(self, margin: float) -> bool:
        """Proven not to be worse by more than that."""
        return self.high <= margin


def interval(counts: Sequence[Count], alpha: float = ALPHA) -> Interval:
    """The confidence sequence of the difference at this look; from -1 to 1 where nothing was seen."""
    cases = sum(count.cases for count in counts)
    if not cases:
        return Interval(0.0, -1.0, 1.0, 0)
    point = sum(count.difference / count.seen * count.cases for count in counts) / cases
    mirrored = [count._replace(difference=-count.difference) for count in counts]
    within = min(1.0, max(-1.0, point))
    # A record that no difference explains well, as a few cases may be, still has its point between the ends.
    return Interval(within, min(within, _lower(counts, alpha)), max(within, -_lower(mirrored, alpha)), cases)


def _lower(counts: Sequence[Count], alpha: float) -> float:
    """The least mean that the bets have not ruled out from below."""
    limit = math.log(2 / alpha)
    return _last(lambda mean: _log_wealth(counts, mean) >= limit)


def _last(ruled_out: Callable[[float], bool]) -> float:
    """The end of the means from -1 on that are ruled out; wealth falls as the mean grows, so they have one."""
    low, high = -1.0, 1.0
    if not ruled_out(low):
        return low
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if ruled_out(middle) else (low, middle)
    return low


def _log_wealth(counts: Sequence[Count], mean: float) -> float:
    """Of equal parts that bet on "more than ``mean``", one for each size of stake."""
    logs = [sum(count.cases * math.log1p(_bet(stake, count, mean)) for count in counts) for stake in _STAKES]
    top = max(logs)
    return top + math.log(sum(math.exp(log - top) for log in logs) / len(logs))


def _bet(stake: float, count: Count, mean: float) -> float:
    """Gain of one case. The size depends on ``seen`` and the mean alone, so that it is fixed before the case is; the loss is below 1."""
    least = -1 / count.seen
    return stake * (count.difference / count.seen - mean) / (mean - least + _NOT_ZERO)
