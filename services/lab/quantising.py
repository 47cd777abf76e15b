"""What 8-bit weights change: the labels of a graph in int8 beside those of the 32-bit graph that it was made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from services.lab.bert import INPUT
from shared.inference.session import opened

Integers = npt.NDArray[np.int64]
# Judging more would take longer than it tells: a 32-bit encoder needs some 30 ms for each.
MOST: Final = 1_000


def said(content: bytes, output: str, documents: Sequence[Sequence[int]], passed: Callable[[], None]) -> Integers:
    """``(n,)``: position of the likeliest label of each document's token ids; ``passed`` is called for each."""
    session, found = opened(content), []
    for ids in documents:
        rows = session.run([output], {INPUT: np.array([ids], dtype=np.int64)})[0]
        found.append(int(np.asarray(rows)[0].argmax()))
        passed()
    return np.array(found, dtype=np.int64)


def counted(exact: Integers, small: Integers, truth: Integers) -> Mapping[str, int]:
    """How many were judged, got another label, and became wrong or right by it."""
    was_right, is_right = exact == truth, small == truth
    return {
        "judged": len(truth),
        "flips": int((exact != small).sum()),
        "worse": int((was_right & ~is_right).sum()),
        "better": int((~was_right & is_right).sum()),
    }


def flips_at_least(found: Mapping[str, int], delta: float = 0.05) -> float:
    """Lower Clopper-Pearson bound of the share of labels that changed."""
    flips, n = found["flips"], found["judged"]
    return float(betaincinv(flips, n - flips + 1, delta)) if flips else 0.0


def loss_at_least(found: Mapping[str, int]) -> float:
    """Accuracy that was lost, less two standard errors of the paired difference."""
    n, net, turned = found["judged"], found["worse"] - found["better"], found["worse"] + found["better"]
    return (net - 2 * float(np.sqrt(max(turned - net**2 / max(n, 1), 0.0)))) / max(n, 1)
