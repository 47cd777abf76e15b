"""Labelled examples and models' answers to them, made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from services.lab.answers import Answers, mix
from services.lab.examples import Example
from shared.automations.contract import Features
from shared.automations.pack import Artefact, Pack, TierModel


def example_of(text: str, label: str, group: str = "", part: str = "", **fields: str) -> Example:
    return Example(Features(text, fields), label, group or text, part)


def answers_of(
    truth: Sequence[int], alone: Mapping[str, npt.NDArray[np.float32]], labels: tuple[str, ...] = ("a", "b"), **more: object
) -> Answers:
    tiers = tuple(
        TierModel(name=name, kind="linear", artefacts=(Artefact(file=name, sha256="0", bytes=1),), buckets=1, hashing=1) for name in alone
    )
    pack = replace(Pack(name="x", version="1", task="x", labels=labels, level="0.02", tiers=tiers), **more)  # type: ignore[arg-type]
    return mix(Answers(pack, np.array(truth, dtype=np.int64), alone, {}, ("",) * len(truth)))


def sure_of(truth: npt.NDArray[np.int64], right: npt.NDArray[np.bool_], confidence: float = 0.9) -> npt.NDArray[np.float32]:
    said = np.where(right, truth, 1 - truth)
    found = np.full((len(truth), 2), 1 - confidence, dtype=np.float32)
    found[np.arange(len(truth)), said] = confidence
    return found
