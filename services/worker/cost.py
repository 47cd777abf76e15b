"""What a decision cost: CPU time of this process, tiers and everything around them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from services.worker.effects import Effects
from services.worker.tiers import shares
from shared.ledger.posting import Line, for_compute
from shared.money import Money


class Meter:
    """CPU time of this thread; each nanosecond is given out once."""

    def __init__(self) -> None:
        self._last = time.thread_time_ns()

    def lap(self) -> int:
        """Nanoseconds since the last call."""
        last, self._last = self._last, time.thread_time_ns()
        return self._last - last


class ProcessMeter:
    """CPU time of this process since it began: start-up, waiting and failed work are in it, so that nothing is forgotten.

    After a fork the child's time starts at zero: make one in the process that it is for.
    """

    def __init__(self) -> None:
        self._booked = 0
        self._taken = 0
        self._told = 0

    def book(self, cpu_ns: int) -> None:
        """So much stands on ledger lines of cases, committed."""
        self._booked += cpu_ns

    @property
    def booked(self) -> int:
        return self._booked

    def overhead(self) -> int:
        """Nanoseconds that the process has used and that neither stand on a case nor have been taken."""
        return max(0, time.process_time_ns() - self._booked - self._taken)

    def lap(self) -> int:
        """Nanoseconds that the process has used since the last call, whatever for."""
        told, self._told = self._told, time.process_time_ns()
        return self._told - told

    def take_overhead(self) -> int:
        """As `overhead`; each nanosecond is given out once, so ``booked`` and all that was taken add up to the process's CPU time."""
        taken = self.overhead()
        self._taken += taken
        return taken


def compute_lines(effects: Sequence[Effects], cpu_ns: int, cpu_hours: Mapping[str, Money], *, at: datetime) -> list[Line]:
    """One line per case that a tier was asked about: its own time in the tiers, and an equal share of the rest.

    Args:
        cpu_ns: measured for all these cases together, the tiers included.
        cpu_hours: price of an hour of one core by tenant.
    """
    used = [0 if effect.result is None else effect.result.usage.cpu_ns for effect in effects]
    around = shares(max(0, cpu_ns - sum(used)), len(effects))
    return [
        for_compute(effect.case, own + share, cpu_hours.get(effect.case.tenant_id), at=at)
        for effect, own, share in zip(effects, used, around, strict=True)
        if effect.result is not None
    ]


def booked_ns(lines: Sequence[Line]) -> int:
    """CPU time that these lines stand for."""
    return int(sum((line.quantity for line in lines if line.quantity is not None), Decimal(0)).scaleb(9))
