"""How often automatic decisions are wrong, by the share of them that people decide again.

That share is drawn (`shared.measure.draw`), with a probability that is stored and may be higher where more is at stake. Each wrong one that
was found counts ``1 / probability`` (Horvitz and Thompson, "A Generalization of Sampling Without Replacement From a Finite Universe",
Journal of the American Statistical Association 47, 1952).

`bounds` holds at all looks at once, without an approximation and whatever the rate does over time, because only the draw of audits is
random. A wrong decision adds ``q / probability`` in 0..1 with mean ``q``, where ``q`` is the least probability. So for every bet the wealth
``((t/q)^x ((1-t)/(1-q))^(1-x))`` per wrong decision is a supermartingale, and so is its mixture over ``t`` with a beta weight; the number
of wrong decisions cannot be one at which the wealth passed ``1/alpha``. Betting: I. Waudby-Smith, A. Ramdas, "Estimating means of bounded
random variables by betting", Journal of the Royal Statistical Society B 86 (2024). The beta mixture: H. Robbins, "Statistical methods
related to the law of the iterated logarithm", Annals of Mathematical Statistics 41 (1970).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betaln

from shared.measure.mixture import ALPHA, Floats, Sequence

# Around how many audited errors the bounds are narrowest, divided by the 8.2 of a normal mixture.
_CONCENTRATION = 20 / 8.2
_HALVINGS = 60


@dataclass(frozen=True, slots=True)
class Looks:
    """What was known at each look, in order of time; sums from the first day on.

    Attributes:
        decisions: automatic decisions, audited or not, that the audits done by then stand for.
        weighted: sum of ``1 / probability`` over audited decisions that were wrong.
        least: the least probability that any of the decisions had, fixed beforehand, 0 < least <= 1.
    """

    decisions: Floats
    weighted: Floats
    least: float


def bounds(looks: Looks, *, alpha: float = ALPHA) -> Sequence:
    """Share of wrong decisions among all automatic ones so far, with its confidence sequence; NaN before the first decision."""
    n, point = (np.asarray(sums, dtype=np.float64) for sums in (looks.decisions, looks.weighted))
    scaled, total = point * looks.least, np.maximum(n, point)
    if looks.least < 1:
        low = _root(scaled, point, scaled, looks.least, alpha)
        high = _root(total, point, scaled, looks.least, alpha)
    else:
        low = high = point
    rate, floor, ceiling = (np.divide(x, n, out=np.full_like(n, np.nan), where=n > 0) for x in np.minimum((point, low, high), n))
    return Sequence(rate, floor, ceiling, n)


def _log_wealth(wrong: Floats, scaled: Floats, q: float) -> Floats:
    """Against ``wrong`` decisions in all, after ``scaled`` of them were found; convex in ``wrong``."""
    a, b = _CONCENTRATION, _CONCENTRATION * (1 - q) / q
    mixture = betaln(a + scaled, b + wrong - scaled) - betaln(a, b)
    return np.asarray(mixture - scaled * np.log(q) - (wrong - scaled) * np.log1p(-q), dtype=np.float64)


def _root(outside: Floats, inside: Floats, scaled: Floats, q: float, alpha: float) -> Floats:
    """Where between the two the wealth reaches ``1/alpha``, on the careful side; ``outside`` itself where it never does."""
    limit = np.log(1 / alpha)
    far, near = outside.astype(np.float64), inside.astype(np.float64)
    kept = _log_wealth(far, scaled, q) < limit
    for _ in range(_HALVINGS):
        middle = (far + near) / 2
        passed = _log_wealth(middle, scaled, q) >= limit
        far, near = np.where(passed, middle, far), np.where(passed, near, middle)
    return np.where(kept, outside, far)
