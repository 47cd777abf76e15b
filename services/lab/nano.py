"""The nano tier: a linear model over hashed words, word pairs and fields, and letters where asked for, in int8."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from services.lab import linear
from services.lab.examples import Example
from shared.automations import bins, hashing
from shared.automations.pack import Artefact, TierModel

NAME: Final = "nano"
_BINS: Final = 10
# Numbers with fewer different values are categories already.
_FEWEST_VALUES: Final = 20
_TABLE_BYTES: Final = 3 << 20


@dataclass(frozen=True, slots=True)
class Recipe:
    """How it is fitted.

    Attributes:
        buckets: size of the hash space; a power of two.
        strength: inverse regularisation, on features scaled by inverse document frequency.
        balance: exponent of the inverse class frequency in the loss: 0 none, 1 all classes weigh alike.
        letters: as in `shared.automations.hashing.encode`.
        margin: each class against all others with a squared hinge, instead of one logistic regression of all classes. A temperature
            makes probabilities of the margins, as it does of logits.
    """

    buckets: int
    strength: float = 30.0
    balance: float = 0.0
    letters: int = 0
    margin: bool = False


def recipe(classes: int) -> Recipe:
    """The largest hash space whose table stays near three megabytes."""
    return Recipe(1 << int(np.clip(np.log2(_TABLE_BYTES / max(classes, 1)), 13, 17)))


def edges(examples: Sequence[Example]) -> bins.Edges:
    """Quantiles of every field that holds numbers of many values, and no codes, from the training part."""
    names = examples[0].features.fields if examples else ()
    found: dict[str, tuple[float, ...]] = {}
    for name in names:
        values = [example.features.fields[name] for example in examples if example.features.fields[name]]
        numbers = [read for value in values if (read := bins.number(value)) is not None and not bins.is_code(value)]
        if len(numbers) == len(values) and len(set(numbers)) >= _FEWEST_VALUES:
            quantiles = np.quantile(numbers, np.linspace(0, 1, _BINS + 1)[1:-1])
            found[name] = tuple(float(edge) for edge in np.unique(np.round(quantiles, 6)))
    return found


def numbers(examples: Sequence[Example], binned: bins.Edges) -> tuple[str, ...]:
    """Every other field of the training part that holds numbers. Where one begins with a needless zero they are codes."""
    names = [name for name in examples[0].features.fields if name not in binned] if examples else ()
    return tuple(name for name in names if _are_numbers({example.features.fields[name] for example in examples}))


def _are_numbers(values: set[str]) -> bool:
    known = [(value, bins.number(value)) for value in values if value]
    return bool(known) and all(number is not None and abs(number) < bins.EXACT and not bins.is_code(value) for value, number in known)


def _encoded(examples: Sequence[Example], how: Recipe) -> hashing.Sparse:
    return hashing.encode([example.features for example in examples], how.buckets, how.letters)


def _targets(examples: Sequence[Example], labels: Sequence[str]) -> npt.NDArray[np.int64]:
    positions = {label: index for index, label in enumerate(labels)}
    return np.array([positions[example.label] for example in examples], dtype=np.int64)


def _class_weights(targets: npt.NDArray[np.int64], balance: float) -> dict[int, float] | None:
    if not balance:
        return None
    counts = np.bincount(targets)
    return {label: float((counts.mean() / count) ** balance) for label, count in enumerate(counts) if count}


def fit(examples: Sequence[Example], labels: Sequence[str], how: Recipe) -> linear.LinearModel:
    """Weights of buckets never seen stay zero. Rare buckets are scaled up, so that regularisation does not drown them."""
    features = linear.matrix(_encoded(examples, how), how.buckets).astype(np.float64)
    counts = np.asarray(features.getnnz(axis=0))
    used = np.flatnonzero(counts)
    scale = np.log((1 + len(examples)) / (1 + counts[used])) + 1
    targets = _targets(examples, labels)
    # One thread, so that sums are taken in one order and the same data give the same weights.
    with threadpool_limits(limits=1):
        rows, bias = _solved(features[:, used].multiply(scale).tocsr(), targets, how)
    weights = np.zeros((how.buckets, len(labels)))
    if len(labels) == 2:  # scikit-learn keeps one row for two classes
        rows, bias = np.vstack((-rows / 2, rows / 2)), np.concatenate((-bias / 2, bias / 2))
    weights[used] = rows.T * scale[:, None]
    return linear.quantised(weights, bias - bias.mean())


def _solved(features: csr_matrix, targets: npt.NDArray[np.int64], how: Recipe) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    weights = _class_weights(targets, how.balance)
    if how.margin:
        model = LinearSVC(C=how.strength, class_weight=weights, random_state=0)
    else:
        model = LogisticRegression(C=how.strength, max_iter=400, tol=1e-3, class_weight=weights)
    fitted = model.fit(features, targets)
    return fitted.coef_, fitted.intercept_


def temperature(model: linear.LinearModel, examples: Sequence[Example], labels: Sequence[str], how: Recipe) -> float:
    """The divisor of the logits that makes the probabilities of these examples most likely."""
    logits = model.logits(_encoded(examples, how)).astype(np.float64)
    targets = _targets(examples, labels)

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        peak = scaled.max(axis=1)
        normaliser = peak + np.log(np.exp(scaled - peak[:, None]).sum(axis=1))
        return float((normaliser - scaled[np.arange(len(targets)), targets]).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def tier(file: str, content: bytes, how: Recipe, classes: int) -> TierModel:
    artefact = Artefact(file=file, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    outputs: Mapping[str, str] = {"probabilities": f"float32[batch, {classes}]"}
    return TierModel(
        name=NAME,
        kind="linear",
        artefacts=(artefact,),
        inputs=linear.INPUTS,
        outputs=outputs,
        buckets=how.buckets,
        hashing=hashing.VERSION,
        letters=how.letters,
    )
