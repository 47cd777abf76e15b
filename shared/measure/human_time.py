"""How long a person worked, by two clocks that need not agree: the reviewer's own and the server's."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

# Seconds without a sign of life after which nobody counts as working. Whoever makes heartbeats makes several in that time.
IDLE_CUT: Final = Decimal(60)


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """What heartbeats have shown of one claim.

    Attributes:
        counted: seconds that count so far.
        shown: what the newest heartbeat of this claim showed; None before the first.
        sequence: of the reviewer's newest heartbeat of this review; -1 before the first.
    """

    counted: Decimal
    shown: Decimal | None
    sequence: int


def counted(watch: Stopwatch, shown: Decimal, sequence: int) -> Decimal:
    """Seconds that count after one more heartbeat: each one that was made vouches for `IDLE_CUT` at most.

    A laptop that sleeps makes no heartbeats, so what its clock counted meanwhile is cut; heartbeats that were made and lost have their
    numbers, so nothing is cut where only the network failed. One that comes late or twice changes nothing. Of two clocks on one claim, as
    in two tabs of a browser, no more counts than the one that is further has shown.

    Args:
        shown: cumulative seconds by the reviewer's clock, which may have been set back to what counts.
    """
    beats = sequence - watch.sequence
    if beats <= 0:
        return watch.counted
    before = watch.counted if watch.shown is None or shown < watch.shown else max(watch.shown, watch.counted)
    return watch.counted + min(max(shown - before, Decimal(0)), beats * IDLE_CUT)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Sums over submitted reviews, in seconds on the wall.

    Attributes:
        apart: reviews whose clocks differ by more than `IDLE_CUT`.
        active: by the reviewers' clocks.
        span: by the server's clock, from claim to submit.
        difference: of the absolute differences of each review's two clocks.
        beyond_span: by how much reviewers' clocks ran ahead of the server's, which no honest clock does; such time is not booked.
    """

    reviews: int
    apart: int
    active: Decimal
    span: Decimal
    difference: Decimal
    beyond_span: Decimal

    def __add__(self, other: Disagreement) -> Disagreement:
        return Disagreement(
            self.reviews + other.reviews,
            self.apart + other.apart,
            self.active + other.active,
            self.span + other.span,
            self.difference + other.difference,
            self.beyond_span + other.beyond_span,
        )

    @property
    def share(self) -> Decimal | None:
        """The difference as a share of the time that reviews were claimed for; None without any."""
        return self.difference / self.span if self.span else None


NONE_SUBMITTED: Final = Disagreement(0, 0, Decimal(0), Decimal(0), Decimal(0), Decimal(0))


def disagreement(active: Decimal, span: Decimal) -> Disagreement:
    """Of one submitted review."""
    difference = abs(span - active)
    return Disagreement(1, int(difference > IDLE_CUT), active, span, difference, max(Decimal(0), active - span))
