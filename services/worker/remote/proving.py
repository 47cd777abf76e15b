"""A certificate from what a model said about labelled cases: one half of them chooses the threshold, the other tests it once.

The threshold is the lowest at which the choosing half would prove the level by itself. The other half has no part in that choice, so the
exact binomial test of `certificate` holds for it without a correction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.worker.remote.certificate import Certificate, at_most


@dataclass(frozen=True, slots=True)
class Answer:
    """Attributes: identity: of the case, which decides its half; score: of the likeliest label, 0 where there was no answer."""

    identity: str
    score: float
    is_right: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """What the testing half says about a threshold; ``threshold`` is None where the choosing half found none."""

    n: int
    threshold: float | None
    accepted: int = 0
    errors: int = 0

    def certificate(self, subject: str, labels: Iterable[str], error_level: float, delta: float) -> Certificate | None:
        """None where nothing was proven."""
        if self.threshold is None or not self.accepted:
            return None
        made = Certificate(subject, error_level, delta, self.accepted, self.errors, dict.fromkeys(labels, self.threshold))
        return made if made.holds else None


def tried(answers: Sequence[Answer], error_level: float, delta: float) -> Trial:
    """The same answers give the same trial, in whatever order."""
    halves: tuple[list[Answer], list[Answer]] = ([], [])
    for answer in answers:
        halves[hashlib.sha256(answer.identity.encode()).digest()[0] % 2].append(answer)
    choosing, testing = halves
    threshold = _lowest(choosing, error_level, delta)
    if threshold is None:
        return Trial(len(testing), None)
    passed = [answer for answer in testing if answer.score >= threshold]
    return Trial(len(testing), threshold, len(passed), sum(not answer.is_right for answer in passed))


def _lowest(answers: Iterable[Answer], error_level: float, delta: float) -> float | None:
    found: float | None = None
    accepted = errors = 0
    ranked = sorted((answer for answer in answers if answer.score > 0), key=lambda answer: -answer.score)
    for position, answer in enumerate(ranked):
        accepted, errors = accepted + 1, errors + (not answer.is_right)
        # Equal scores pass together or not at all.
        is_last_of_its_score = position + 1 == len(ranked) or ranked[position + 1].score < answer.score
        if is_last_of_its_score and at_most(errors, accepted, error_level) <= delta:
            found = answer.score
    return found
