"""From a log of real manual handling to seconds of work per case: which moments belong together, what is added up, what is left out."""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.measure.savings import EVERY_OTHER, MINIMUM_CONTROL

# No single piece of work lasts longer than a shift; what does is a clock that somebody forgot to stop.
LONGEST: Final = timedelta(hours=8)
# Above this share of segments left out, the rest is no measure of anything.
MOST_LEFT_OUT: Final = 0.1

TOO_LONG: Final = "longer than the longest"
NO_END: Final = "starts without an end"
NO_START: Final = "ends without a start"


class Transition(StrEnum):
    """What happened to a piece of work, of the standard life cycle of XES (IEEE 1849)."""

    START = "start"
    SUSPEND = "suspend"
    RESUME = "resume"
    COMPLETE = "complete"


# Ways in which work ends without being completed; the time was spent all the same.
_ENDS: Final = frozenset({"complete", "ate_abort", "pi_abort", "abort", "withdraw", "manualskip", "autoskip"})


def transition(name: str) -> Transition | None:
    """None for what begins or ends no work, such as `schedule` or `assign`."""
    name = name.strip().lower()
    if name in _ENDS:
        return Transition.COMPLETE
    return Transition(name) if name in set(Transition) else None


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of a case's log.

    Attributes:
        work: tells pieces of work of one case apart: the activity, or its instance where the log names one.
    """

    work: str
    transition: Transition
    at: datetime


@dataclass(frozen=True, slots=True)
class Segment:
    """Somebody worked from ``start`` to ``end``."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


@dataclass(slots=True)
class _Piece:
    """Work on one activity: since when people are at it, and how many are interrupted."""

    running: deque[datetime] = field(default_factory=deque)
    suspended: int = 0


@dataclass(frozen=True, slots=True)
class Paired:
    """Segments of a case, and moments that found no partner."""

    segments: list[Segment]
    left_out: Counter[str]


def pair(moments: Iterable[Moment]) -> Paired:
    """Start with suspend or complete, resume with suspend or complete; where several run at once, the earliest first.

    Args:
        moments: of one case; sorted by time here, because logs need not be (equal times stay in the log's order).
    """
    pieces: dict[str, _Piece] = defaultdict(_Piece)
    segments: list[Segment] = []
    left_out: Counter[str] = Counter()
    for moment in sorted(moments, key=lambda moment: moment.at):
        piece = pieces[moment.work]
        if moment.transition in {Transition.START, Transition.RESUME}:
            piece.suspended -= int(moment.transition is Transition.RESUME and piece.suspended > 0)
            piece.running.append(moment.at)
        elif piece.running:
            segments.append(Segment(piece.running.popleft(), moment.at))
            piece.suspended += int(moment.transition is Transition.SUSPEND)
        elif piece.suspended and moment.transition is Transition.COMPLETE:
            # Completed while suspended: nobody was at it.
            piece.suspended -= 1
        else:
            left_out[NO_START] += 1
    left_out[NO_END] += sum(len(piece.running) for piece in pieces.values())
    return Paired(segments, +left_out)


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of work per case in one stratum; ``variance`` is of single cases, unbiased."""

    stratum: str
    n: int
    mean: float
    variance: float


@dataclass(slots=True)
class Tally:
    """What a log says about manual handling, added up case by case.

    Attributes:
        longest: longer segments are left out and counted.
        segments: that were added up.
        left_out: why, and how often.
        start, end: first start and last end of what was added up; None before there is any.
    """

    longest: timedelta = LONGEST
    segments: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    start: datetime | None = None
    end: datetime | None = None
    _seconds: dict[str, float] = field(default_factory=dict)
    _strata: dict[str, str] = field(default_factory=dict)

    def add(self, case: str, stratum: str, segment: Segment) -> None:
        """Add a segment to its case.

        Raises:
            ValueError: it ends before it begins, or the case was in another stratum before.
        """
        if segment.end < segment.start:
            raise ValueError(f"the work ends ({segment.end}) before it begins ({segment.start})")
        if self._strata.setdefault(case, stratum) != stratum:
            raise ValueError(f"case {case!r} was in stratum {self._strata[case]!r} before and is in {stratum!r} now")
        if segment.end - segment.start > self.longest:
            self.left_out[TOO_LONG] += 1
            return
        self._seconds[case] = self._seconds.get(case, 0.0) + segment.seconds
        self.segments += 1
        self.start = segment.start if self.start is None else min(self.start, segment.start)
        self.end = segment.end if self.end is None else max(self.end, segment.end)

    @property
    def cases(self) -> int:
        return len(self._seconds)

    @property
    def share_left_out(self) -> float:
        """Of all segments that there might have been."""
        out = sum(self.left_out.values())
        return out / (out + self.segments) if out else 0.0

    def times(self) -> list[Times]:
        """All cases together as `*`, and each stratum by itself; those with fewer than `MINIMUM_CONTROL` cases are not there."""
        strata: dict[str, list[float]] = {EVERY_OTHER: list(self._seconds.values())}
        for case, seconds in self._seconds.items():
            if self._strata[case] != EVERY_OTHER:
                strata.setdefault(self._strata[case], []).append(seconds)
        return [_times(name, seconds) for name, seconds in _large_enough(strata)]


def _large_enough(strata: dict[str, list[float]]) -> Iterator[tuple[str, list[float]]]:
    yield from ((name, seconds) for name, seconds in sorted(strata.items()) if len(seconds) >= MINIMUM_CONTROL)


def _times(stratum: str, seconds: list[float]) -> Times:
    mean = math.fsum(seconds) / len(seconds)
    return Times(stratum, len(seconds), mean, math.fsum((value - mean) ** 2 for value in seconds) / (len(seconds) - 1))
