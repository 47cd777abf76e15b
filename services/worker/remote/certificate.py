"""Whether a foreign model's scores may decide: only with a certificate of that very model, for the error level that was asked for.

The claim is "the share of errors among the cases that pass the thresholds is at most ``error_level``". It stands where ``errors`` or fewer
of ``accepted`` would be seen with probability ``delta`` at most, were the share any higher: the exact binomial test (C. Clopper, E.
Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26, 1934). What a certificate
says is counted again here, because a level that somebody has typed is no evidence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Certificate:
    """Attributes: minimum: by label, the least score at which it may be said; a label without one is never said."""

    subject: str
    error_level: float
    delta: float
    accepted: int
    errors: int
    minimum: Mapping[str, float]

    @property
    def holds(self) -> bool:
        return self.errors <= self.accepted and at_most(self.errors, self.accepted, self.error_level) <= self.delta

    def lets_pass(self, label: str, score: float) -> bool:
        return score >= self.minimum.get(label, math.inf)


def at_most(errors: int, n: int, rate: float) -> float:
    """Probability of so many errors or fewer in ``n`` independent cases, 0 < rate < 1."""
    logs = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(rate) + (n - k) * math.log1p(-rate)
            for k in range(min(errors, n) + 1)]  # fmt: skip
    top = max(logs)
    return min(1.0, math.exp(top) * math.fsum(math.exp(log - top) for log in logs))


def chosen(certificates: Iterable[Certificate], subject: str, error_level: float | None) -> Certificate | None:
    """The widest certificate that holds for this subject at the level asked for; None: its scores must not count.

    Args:
        error_level: greatest share of errors that is accepted; None: the smallest that is certified.
    """
    valid = [certificate for certificate in certificates if certificate.subject == subject and certificate.holds]
    if error_level is None:
        return min(valid, key=lambda certificate: certificate.error_level, default=None)
    allowed = [certificate for certificate in valid if certificate.error_level <= error_level]
    return max(allowed, key=lambda certificate: certificate.error_level, default=None)
