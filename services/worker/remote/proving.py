"""A certificate from what a model said about labelled cases: one half of them chooses the threshold, the other tests it once.

The threshold is the lowest at which the choosing half would prove the level by itself. The other half has no part in that choice, so the
exact binomial test of `certificate` holds for it without a correction. Copies of a case are no more evidence than the case and count once;
with all of them the level must hold as well, because a frequent case that is answered wrongly is wrong each time.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.worker.remote.certificate import Certificate, at_most


@dataclass(frozen=True, slots=True)
class Answer:
    """Attributes: identity: equal for copies, decides the half; score: of the likeliest label, 0 where there was no answer."""

    identity: str
    score: float
    is_right: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """What the testing half says about a threshold; ``threshold`` is None where the choosing half found none.

    Attributes:
        n, accepted, errors: each case once.
        all_accepted, all_errors: with every copy.
    """

    n: int
    threshold: float | None
    accepted: int = 0
    errors: int = 0
    all_accepted: int = 0
    all_errors: int = 0

    def certificate(self, subject: str, labels: Iterable[str], error_level: float, delta: float) -> Certificate | None:
        """None where nothing was proven."""
        if self.threshold is None or not self.accepted or at_most(self.all_errors, self.all_accepted, error_level) > delta:
            return None
        made = Certificate(subject, error_level, delta, self.accepted, self.errors, dict.fromkeys(labels, self.threshold))
        return made if made.holds else None


def tried(answers: Sequence[Answer], error_level: float, delta: float) -> Trial:
    """The same answers give the same trial, in whatever order."""
    choosing, testing = ([answer for answer in answers if _digest(answer)[0] % 2 == half] for half in (0, 1))
    once = _once(testing)
    threshold = _lowest(_once(choosing), error_level, delta)
    if threshold is None:
        return Trial(len(once), None)
    (accepted, errors), (all_accepted, all_errors) = (_passed(found, threshold) for found in (once, testing))
    return Trial(len(once), threshold, accepted, errors, all_accepted, all_errors)


def _digest(answer: Answer) -> bytes:
    return hashlib.sha256(answer.identity.encode()).digest()


def _once(answers: Iterable[Answer]) -> list[Answer]:
    """One of each case's copies: where they differ, a digest says which one, so that no order does, and a frequent one is likelier."""
    copies: dict[str, list[Answer]] = defaultdict(list)
    for answer in sorted(answers, key=lambda answer: (answer.identity, answer.is_right, answer.score)):
        copies[answer.identity].append(answer)
    return [found[int.from_bytes(_digest(found[0])[1:9], "big") % len(found)] for found in copies.values()]


def _passed(answers: Sequence[Answer], threshold: float) -> tuple[int, int]:
    """How many, and how many of them are wrong."""
    passed = [answer for answer in answers if answer.score >= threshold]
    return len(passed), sum(not answer.is_right for answer in passed)


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
