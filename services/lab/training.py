"""Training one nano model: fit on *train*, set temperature and candidate thresholds on *tune*, certify and report on *certify*."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from services.lab import linear
from services.lab.certify import Promise, Sample, certify
from services.lab.evaluation import Scored, calibration_error, scored
from services.lab.examples import Example, Source, digest, split
from services.lab.thresholds import path
from shared.automations import hashing
from shared.automations.contract import Automation
from shared.automations.pack import Artefact, Certificate, Pack, TierModel

Doubles = npt.NDArray[np.float64]
VERSION: Final = "2.0.0"
LEVELS: Final = ("0.01", "0.02", "0.05")
_LIBRARIES: Final = ("numpy", "scipy", "scikit-learn", "onnx")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one task is trained.

    Attributes:
        buckets: size of the hash space.
        strength: inverse regularisation of the logistic regression, on features scaled by inverse document frequency.
        level: the promise that holds where nobody chooses another; one of `LEVELS`, or certified besides them.
    """

    buckets: int
    strength: float
    level: str


RECIPES: Final[Mapping[str, Recipe]] = {
    "claims": Recipe(1 << 17, 10.0, "0.02"),
    "complaints": Recipe(1 << 18, 30.0, "0.08"),
    "invoices": Recipe(1 << 17, 10.0, "0.02"),
}


def _encoded(examples: Sequence[Example], buckets: int) -> hashing.Sparse:
    return hashing.encode([example.features for example in examples], buckets)


def _fit(examples: Sequence[Example], labels: Sequence[str], recipe: Recipe) -> linear.LinearModel:
    """Weights of buckets never seen stay zero. Rare buckets are scaled up, so that regularisation does not drown them."""
    features = linear.matrix(_encoded(examples, recipe.buckets), recipe.buckets).astype(np.float64)
    counts = np.asarray(features.getnnz(axis=0))
    used = np.flatnonzero(counts)
    scale = np.log((1 + len(examples)) / (1 + counts[used])) + 1
    targets = np.array([labels.index(example.label) for example in examples])
    # One thread, so that sums are taken in one order and the same data give the same weights.
    with threadpool_limits(limits=1):
        fitted = LogisticRegression(C=recipe.strength, max_iter=400, tol=1e-3).fit(features[:, used].multiply(scale).tocsr(), targets)
    weights = np.zeros((recipe.buckets, len(labels)))
    rows, bias = fitted.coef_, fitted.intercept_
    if len(labels) == 2:  # scikit-learn keeps one row for two classes
        rows, bias = np.vstack((-rows / 2, rows / 2)), np.concatenate((-bias / 2, bias / 2))
    weights[used] = rows.T * scale[:, None]
    return linear.quantised(weights, bias - bias.mean())


def _temperature(model: linear.LinearModel, examples: Sequence[Example], labels: Sequence[str]) -> float:
    """The divisor of the logits that makes the probabilities of these examples most likely."""
    logits = model.logits(_encoded(examples, model.buckets)).astype(np.float64)
    targets = np.array([labels.index(example.label) for example in examples])

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        peak = scaled.max(axis=1)
        normaliser = peak + np.log(np.exp(scaled - peak[:, None]).sum(axis=1))
        return float((normaliser - scaled[np.arange(len(targets)), targets]).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def _report(found: Scored, sizes: Mapping[str, int]) -> dict[str, Any]:
    return {
        "measured_on": "certify",
        "n_train": sizes["train"],
        "n_tune": sizes["tune"],
        "n_certify": sizes["certify"],
        "accuracy": round(found.accuracy, 4),
        "macro_f1": round(found.macro_f1, 4),
        "calibration_error": round(calibration_error(found), 4),
    }


def _certificates(tune: Scored, sample: Scored, sha256: str, level: str) -> tuple[Certificate, ...]:
    settings, promises = path([tune.as_tier]), [Promise(level=name) for name in sorted({*LEVELS, level}, key=float)]
    certified = Sample(names=("nano",), scores=(sample.as_tier,), sha256=sha256)
    return tuple(certify(settings, [tune.as_tier], certified, promise) for promise in promises)


def _tier(name: str, content: bytes, buckets: int, classes: int) -> TierModel:
    artefact = Artefact(file=f"{name}-nano.onnx", sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    return TierModel(
        name="nano",
        kind="linear",
        artefacts=(artefact,),
        inputs=linear.INPUTS,
        outputs={"probabilities": f"float32[batch, {classes}]"},
        buckets=buckets,
        hashing=hashing.VERSION,
    )


def train(automation: Automation, examples: Sequence[Example], source: Source, seed: int) -> tuple[Pack, bytes]:
    """The pack and its graph; the same examples give the same bytes on the same machine and libraries."""
    recipe, labels = RECIPES[automation.name], sorted({example.label for example in examples})
    parts = {name: [example for example in examples if split(example) == name] for name in ("train", "tune", "certify")}
    model = _fit(parts["train"], labels, recipe)
    temperature = _temperature(model, parts["tune"], labels)
    model = model.cooled(temperature)
    person = tuple(label for label in labels if automation.requires_person(label))
    tune, sample = (scored(model, labels, person, parts[name]) for name in ("tune", "certify"))
    content = linear.to_onnx(model, f"{automation.name}-nano")
    training = {
        "data": source.name,
        "data_licence": source.licence,
        "data_sha256": source.sha256,
        "seed": seed,
        "strength": recipe.strength,
        "temperature": round(temperature, 6),
        "libraries": [f"{name} {version(name)}" for name in _LIBRARIES],
    }
    pack = Pack(
        name=automation.name,
        version=VERSION,
        task=automation.name,
        labels=tuple(labels),
        level=recipe.level,
        tiers=(_tier(automation.name, content, recipe.buckets, len(labels)),),
        person=person,
        certificates=_certificates(tune, sample, digest(parts["certify"]), recipe.level),
        licence="Apache-2.0",
        training=training,
        report=_report(sample, {name: len(part) for name, part in parts.items()}),
    )
    return pack, content
