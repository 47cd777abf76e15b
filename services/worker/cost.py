"""What a decision cost: CPU time of this process, tiers and everything around them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime

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
