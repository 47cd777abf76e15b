"""What a generator yields, and the randomness that all of them share."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

START: Final = datetime(2026, 10, 1, 6, 0, tzinfo=UTC)
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class SyntheticEvent:
    """One event and everything about it that a real system would only learn later, or never.

    Attributes:
        event_id: unique in its stream.
        event_type: the CloudEvents type.
        data: JSON values that pass the automation's data model.
        truth: final outcomes that are right; the first is what a careful person submits.
        label: what a model should say. Differs from ``truth`` where a model may only ask for a person, and by label noise.
        manual_seconds: working time of a person without help.
        exception_seconds: working time of a person who sees the verdict and reasons of the machine.
        duplicate_of: event id of the first submission of the same document, or None.
    """

    event_id: str
    event_type: str
    time: datetime
    data: Mapping[str, Any]
    truth: tuple[str, ...]
    label: str
    manual_seconds: float
    exception_seconds: float
    duplicate_of: str | None = None


@dataclass(frozen=True, slots=True)
class Effort:
    """Handling time: lognormal, because some cases take ten times as long as the usual one.

    Attributes:
        median: seconds of a person without help.
        spread: sigma of the logarithm; 0.8 makes the mean 1.4 times the median.
        helped: median share of that time which is left for a person who is helped.
    """

    median: float
    spread: float = 0.8
    helped: float = 0.6

    def draw(self, rng: random.Random) -> tuple[float, float]:
        manual = rng.lognormvariate(math.log(self.median), self.spread)
        left = min(1.2, rng.lognormvariate(math.log(self.helped), 0.25))
        return round(manual, 1), round(manual * left, 1)


class Arrivals:
    """Event ids and times: irregular, about one per ``seconds``."""

    def __init__(self, prefix: str, rng: random.Random, seconds: float) -> None:
        self._prefix, self._rng, self._seconds = prefix, rng, seconds
        self._stream = f"{rng.getrandbits(32):08x}"
        self._count = 0
        self._time = START

    def next(self) -> tuple[str, datetime]:
        self._count += 1
        self._time += timedelta(milliseconds=int(self._rng.expovariate(1 / self._seconds) * 1000) + 1)
        return f"{self._prefix}-{self._stream}-{self._count:07d}", self._time


def _misspell(rng: random.Random, word: str) -> str:
    if len(word) < 4 or not word.isalpha():
        return word
    at = rng.randrange(1, len(word) - 1)
    match rng.randrange(4):
        case 0:
            return word[:at] + word[at + 1 :]
        case 1:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        case 2:
            return word[:at] + word[at] + word[at:]
        case _:
            return word[:at] + rng.choice(_LETTERS) + word[at + 1 :]


def with_typos(rng: random.Random, text: str, rate: float) -> str:
    """Misspells about ``rate`` of the words; one writer in ten does not use capitals."""
    words = text.split(" ")
    for _ in range(int(len(words) * rate + rng.random())):
        at = rng.randrange(len(words))
        words[at] = _misspell(rng, words[at])
    joined = " ".join(words)
    return joined.lower() if rng.random() < 0.1 else joined


def fill(rng: random.Random, template: str, slots: Mapping[str, Sequence[str]]) -> str:
    """Replaces every ``{name}`` by a random word of that slot; values may hold slots themselves."""
    while (start := template.find("{")) >= 0:
        end = template.index("}", start)
        template = template[:start] + rng.choice(slots[template[start + 1 : end]]) + template[end + 1 :]
    return template
