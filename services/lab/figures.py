"""How good a pack is on labelled examples: all figures from its tiers' answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score, precision_recall_fscore_support, roc_auc_score

from services.lab.answers import Answers
from services.lab.bias import treatments
from services.lab.certify import upper_bound
from services.lab.thresholds import Decided, decide
from shared.automations.pack import NEVER, Variant

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
OUT_OF_SCOPE: Final = "oos"


def _share(part: float, whole: float) -> float:
    return round(float(part / whole), 4) if whole else 0.0


def calibration_error(probabilities: Floats, truth: Integers, bins: int = 10) -> float:
    """Expected calibration error of the predicted label over equally wide bins."""
    if not len(truth):
        return 0.0
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    which = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    insides = [which == index for index in range(bins)]
    return float(sum(abs(confidence[found].mean() - right[found].mean()) * found.mean() for found in insides if found.any()))


def brier(probabilities: Floats, truth: Integers) -> float:
    """Mean squared distance of the probabilities from the truth, over all classes."""
    hits = np.eye(probabilities.shape[1])[truth]
    return float(((probabilities - hits) ** 2).sum(axis=1).mean()) if len(truth) else 0.0


def quality(probabilities: Floats, truth: Integers) -> dict[str, float]:
    """Abstention off: the likeliest label counts. F1 is averaged over the classes that occur in the truth."""
    predicted = probabilities.argmax(axis=1)
    found = {
        "accuracy": round(float((predicted == truth).mean()), 4) if len(truth) else 0.0,
        "macro_f1": round(float(f1_score(truth, predicted, average="macro", labels=np.unique(truth), zero_division=0)), 4)
        if len(truth)
        else 0.0,
        "calibration_error": round(calibration_error(probabilities, truth), 4),
        "brier": round(brier(probabilities, truth), 4),
    }
    if probabilities.shape[1] == 2 and len(np.unique(truth)) == 2:
        found["auc"] = round(float(roc_auc_score(truth, probabilities[:, 1])), 4)
    return found


def out_of_scope(found: Answers) -> dict[str, float]:
    """Where the pack knows out-of-scope texts: how many of them it says so of, and the accuracy on the others."""
    if OUT_OF_SCOPE not in found.pack.labels:
        return {}
    outside = found.pack.labels.index(OUT_OF_SCOPE)
    right, is_outside = found.last.argmax(axis=1) == found.truth, found.truth == outside
    return {
        "oos_recall": _share(right[is_outside].sum(), is_outside.sum()),
        "in_scope_accuracy": _share(right[~is_outside].sum(), (~is_outside).sum()),
    }


def per_label(found: Answers) -> Mapping[str, Mapping[str, float]]:
    labels, found = found.pack.labels, found.known()
    *rates, counts = precision_recall_fscore_support(found.truth, found.last.argmax(axis=1), labels=range(len(labels)), zero_division=0)
    named = dict(zip(("precision", "recall", "f1"), rates, strict=True))
    return {
        label: {**{name: round(float(column[index]), 4) for name, column in named.items()}, "n": int(counts[index])}
        for index, label in enumerate(labels)
    }


def at_level(found: Answers, level: str, variant: Variant = "any") -> dict[str, Any]:
    """What the thresholds of a certificate do to these examples, altogether, by tier and by segment."""
    certificate = found.pack.certificate(level, variant)
    names = tuple(found.tiers)
    setting = tuple(certificate.thresholds.get(name, NEVER) if certificate else NEVER for name in names)
    decided = decide(found.scores(), setting, certificate.floor if certificate else 0.0)
    segments = sorted(set(found.segments) - {""})
    segment = np.array(found.segments, dtype=object)
    return {
        **_selective(decided, np.ones(len(found.truth), dtype=bool)),
        "by_tier": {name: _selective(decided, decided.tier == index) for index, name in enumerate(names)},
        **({"by_segment": {name: _selective(decided, segment == name) for name in segments}} if segments else {}),
    }


def _selective(decided: Decided, inside: npt.NDArray[np.bool_]) -> dict[str, float]:
    accepted, errors = int((decided.accepted & inside).sum()), int((decided.accepted & decided.wrong & inside).sum())
    return {
        "n": int(inside.sum()),
        "accepted": accepted,
        "errors": errors,
        "coverage": _share(accepted, int(inside.sum())),
        "selective_error": _share(errors, accepted),
        "selective_error_upper_95": round(upper_bound(errors, accepted), 4),
    }


def figures(found: Answers, variant: Variant = "any") -> dict[str, Any]:
    """Everything but the per-label table: of the whole cascade, of each tier alone and mixed, and at each certified level.

    Examples whose label the pack does not have are wrong at every level, as in its certificates, and in no other figure.
    """
    known = found.known()
    levels = sorted({certificate.level for certificate in found.pack.certificates}, key=float)
    return {
        **quality(known.last, known.truth),
        **out_of_scope(known),
        "tiers": {
            name: {**quality(mixed, known.truth), "alone_accuracy": quality(known.alone[name], known.truth)["accuracy"]}
            for name, mixed in known.tiers.items()
        },
        "levels": {level: at_level(found, level, variant) for level in levels},
        **({"segments": {name: asdict(seen) for name, seen in treatments(known, variant).items()}} if any(known.segments) else {}),
    }
