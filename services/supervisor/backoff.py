"""How long to wait before a process that ended is started again."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 10.0
# A process that ran this long did not fail because of its start.
STEADY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Attributes: failures: ends in a row, each soon after a start."""

    failures: int = 0

    def after(self, ran_seconds: float) -> Backoff:
        """The state after one more end."""
        return Backoff(1 if ran_seconds >= STEADY_SECONDS else self.failures + 1)

    @property
    def seconds(self) -> float:
        """First 0.5, then 1, 2, 4, 8, 10 and always 10."""
        if self.failures == 0:
            return 0.0
        doublings = min(self.failures - 1, 10)  # beyond that the power only grows
        return min(FIRST_SECONDS * 2.0**doublings, LONGEST_SECONDS)
