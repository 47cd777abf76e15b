"""Reports of packs with labels of one's choice, of answers that are made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from services.lab.answers import Answers
from services.worker.runtime.build import SHIPPED
from services.worker.runtime.pack import load

LABELS: Final = ("pay", "lose", "a name that is longer than any axis has room for", "\u05d7\u05e9\u05d1\u05d5\u05df", "<b>&", "seldom")


def made_up(labels: Sequence[str] = LABELS) -> Answers:
    """Ten examples of each label; one of the first is said to be of the second, the others are right."""
    pack = replace(next(iter(load(SHIPPED).values())), labels=tuple(labels), name="tickets")
    truth = np.repeat(np.arange(len(labels)), 10)
    said = truth.copy()
    said[0] = 1
    sure = np.full((len(truth), len(labels)), 0.1 / len(labels), np.float32)
    sure[np.arange(len(truth)), said] += 0.9
    tiers = {tier.name: sure for tier in pack.tiers}
    return Answers(pack, truth, tiers, tiers, ("",) * len(truth))
