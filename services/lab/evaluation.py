"""How good a pack is on labelled examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score, precision_recall_fscore_support

from services.lab import linear
from services.lab.certify import upper_bound
from services.lab.examples import Example
from services.lab.thresholds import TierScores, decide
from shared.automations import hashing
from shared.automations.pack import MANIFEST, NEVER, Pack, parse
from shared.errors import NotFound

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Scored:
    """Predictions beside the truth, as positions in ``labels``.

    Attributes:
        is_final: the predicted label may be final without a person.
    """

    labels: tuple[str, ...]
    truth: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    probabilities: npt.NDArray[np.float32]
    is_final: npt.NDArray[np.bool_]

    @property
    def is_right(self) -> npt.NDArray[np.bool_]:
        return np.equal(self.truth, self.predicted)

    @property
    def as_tier(self) -> TierScores:
        return TierScores(self.confidence, ~self.is_right, self.is_final)

    @property
    def accuracy(self) -> float:
        return float(self.is_right.mean()) if len(self.truth) else 0.0

    @property
    def macro_f1(self) -> float:
        """Over the classes that occur in the truth."""
        return float(f1_score(self.truth, self.predicted, average="macro", labels=np.unique(self.truth), zero_division=0))


def scored(model: linear.LinearModel, labels: Sequence[str], person: Sequence[str], examples: Sequence[Example]) -> Scored:
    chunks = [examples[start : start + _CHUNK] for start in range(0, len(examples), _CHUNK)]
    found = [model.probabilities(hashing.encode([example.features for example in chunk], model.buckets)) for chunk in chunks]
    probabilities = np.concatenate(found) if found else np.zeros((0, len(labels)), dtype=np.float32)
    predicted = probabilities.argmax(axis=1)
    final = np.array([label not in person for label in labels])
    return Scored(
        labels=tuple(labels),
        truth=np.array([labels.index(example.label) for example in examples], dtype=np.int64),
        predicted=predicted.astype(np.int64),
        confidence=probabilities.max(axis=1).astype(np.float64),
        probabilities=probabilities,
        is_final=final[predicted],
    )


def calibration_error(found: Scored, bins: int = 10) -> float:
    """Expected calibration error of the predicted label over equally wide bins."""
    if not len(found.truth):
        return 0.0
    which = np.minimum((found.confidence * bins).astype(np.int64), bins - 1)
    gaps = [
        abs(found.confidence[inside].mean() - found.is_right[inside].mean()) * inside.mean()
        for inside in (which == index for index in range(bins))
        if inside.any()
    ]
    return float(sum(gaps))


def brier(found: Scored) -> float:
    """Mean squared distance of the probabilities from the truth, over all classes."""
    hits = np.eye(len(found.labels))[found.truth]
    return float(((found.probabilities - hits) ** 2).sum(axis=1).mean()) if len(found.truth) else 0.0


def find_pack(name: str, models: Path) -> tuple[Pack, Path]:
    """The pack of that name or task in ``models``; or ``name`` is itself a folder with the manifest of one pack.

    Raises:
        NotFound: there is none, or more than one.
    """
    folder = Path(name) if (Path(name) / MANIFEST).is_file() else models
    if not (folder / MANIFEST).is_file():
        raise NotFound("no manifest of models there", folder=str(folder))
    packs = parse((folder / MANIFEST).read_text(encoding="utf-8"))
    chosen = packs if folder != models else [pack for pack in packs if name in {pack.name, pack.task}]
    if len(chosen) != 1:
        raise NotFound("no such pack, or more than one", name=name, known=[pack.name for pack in packs])
    return chosen[0], folder


def _per_label(found: Scored) -> Mapping[str, Mapping[str, float]]:
    precision, recall, f1, support = precision_recall_fscore_support(
        found.truth, found.predicted, labels=range(len(found.labels)), zero_division=0
    )
    return {
        label: {
            "precision": round(float(precision[i]), 4),
            "recall": round(float(recall[i]), 4),
            "f1": round(float(f1[i]), 4),
            "n": int(support[i]),
        }
        for i, label in enumerate(found.labels)
    }


def _threshold(pack: Pack, level: str) -> float:
    certificate = pack.certificate(level)
    return certificate.thresholds["nano"] if certificate else NEVER


def _at_level(pack: Pack, found: Scored, level: str) -> Mapping[str, float]:
    """What the thresholds of a certificate do to these examples."""
    decided = decide([found.as_tier], (_threshold(pack, level),))
    return {
        "coverage": round(decided.count / max(len(found.truth), 1), 4),
        "accepted": decided.count,
        "errors": decided.errors,
        "selective_error": round(decided.errors / max(decided.count, 1), 4),
        "selective_error_upper_95": round(upper_bound(decided.errors, decided.count), 4),
    }


def evaluate(pack: Pack, folder: Path, examples: Sequence[Example]) -> dict[str, Any]:
    """Figures of a pack; examples with labels that it does not know are left out and counted as ``dropped``."""
    known = [example for example in examples if example.label in pack.labels]
    model = linear.from_onnx((folder / pack.tiers[0].artefact("any").file).read_bytes())
    found = scored(model, pack.labels, pack.person, known)
    levels = {certificate.level: _at_level(pack, found, certificate.level) for certificate in pack.certificates}
    return {
        "pack": pack.name,
        "version": pack.version,
        "n": len(known),
        "dropped": len(examples) - len(known),
        "accuracy": round(found.accuracy, 4),
        "macro_f1": round(found.macro_f1, 4),
        "calibration_error": round(calibration_error(found), 4),
        "brier": round(brier(found), 4),
        "level": pack.level,
        **levels.get(pack.level, {}),
        "levels": levels,
        "labels": _per_label(found),
    }
