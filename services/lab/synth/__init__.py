"""Synthetic events with truth known by construction: for the demo, the benchmark, and models that no public data could train.

Pure and seeded: the same task, n and seed give the same events, and the first k of n are the first k of any larger n.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Final

from services.lab.synth import claims, complaints, invoices
from services.lab.synth.event import SyntheticEvent

__all__ = ["TASKS", "SyntheticEvent", "generate"]

_STREAMS: Final[Mapping[str, Callable[[random.Random], Iterator[SyntheticEvent]]]] = {
    "claims": claims.stream,
    "complaints": complaints.stream,
    "invoices": invoices.stream,
}
TASKS: Final = tuple(_STREAMS)


def generate(task: str, n: int, seed: int = 0) -> Iterator[SyntheticEvent]:
    """The first ``n`` events of the endless stream that ``task`` and ``seed`` name.

    Raises:
        KeyError: no generator for this task.
    """
    return islice(_STREAMS[task](random.Random(f"{task}/{seed}")), n)
