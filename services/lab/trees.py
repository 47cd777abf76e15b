"""The trees tier: gradient boosting over fields, numbers as numbers. LightGBM grows the trees, onnxmltools writes their graph."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import lightgbm
import numpy as np
import numpy.typing as npt
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

from services.lab.examples import Example
from services.lab.plan import TooFewExamples
from shared.automations.bins import is_code, number
from shared.automations.pack import Artefact, TierModel
from shared.automations.tabular import Columns, Table

NAME: Final = "trees"
# Ways to grow a tree, steadiest first: its leaves, and whether its splits are drawn at random and the best of them taken. Which one fits
# the data is found by cross-validation, as is the number of trees.
WAYS: Final = ((8, True), (16, True), (32, True), (32, False))
_MOST_TREES: Final = 500
# Growing ends where so many more trees gain less than this of the log loss.
_PATIENCE: Final = 30
_GAIN: Final = 2e-4
_FOLDS: Final = 5
# Rarer categories than the most frequent ones say too little to be worth a number.
_MOST_CATEGORIES: Final = 500
_OPSET: Final = 15
Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


def columns(examples: Sequence[Example]) -> Columns:
    """Every field of the training part; one whose values are all numbers, and no codes, is a number. Categories are numbered in
    alphabetical order.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name in examples[0].features.fields:
        counts = Counter(example.features.fields[name] for example in examples if example.features.fields[name])
        is_number = all(number(value) is not None and not is_code(value) for value in counts)
        kept = sorted(counts, key=lambda value: (-counts[value], value))[:_MOST_CATEGORIES]
        found[name] = () if is_number else tuple(sorted(kept))
    return found


def matrix(examples: Sequence[Example], known: Columns) -> Floats:
    """``(n, columns)``, as the graph reads it."""
    rows = Table(known).rows(example.features for example in examples)
    with np.errstate(over="ignore"):
        return np.array(rows, dtype=np.float64).reshape(len(examples), len(known)).astype(np.float32)


def settings(classes: int, way: tuple[int, bool], seed: int) -> dict[str, Any]:
    """Small steps, and each tree on part of rows and columns: rare labels are soon known by heart. One thread: the same trees each time."""
    target = {"objective": "binary"} if classes == 2 else {"objective": "multiclass", "num_class": classes}
    leaves, is_random = way
    drawn = {"extra_trees": is_random, "bagging_fraction": 0.8, "bagging_freq": 1, "feature_fraction": 0.5, "seed": seed}
    same = {"num_threads": 1, "deterministic": True, "force_row_wise": True, "verbosity": -1}
    return {**target, **drawn, **same, "learning_rate": 0.05, "num_leaves": leaves, "min_data_in_leaf": 20, "lambda_l2": 5.0}


def _folds(examples: Sequence[Example]) -> list[tuple[Integers, Integers]]:
    """By hash of the group, so that near-copies are on one side. By other bytes of it than those that chose the part."""
    which = np.array([int.from_bytes(hashlib.sha256(found.group.encode()).digest()[8:16], "big") % _FOLDS for found in examples])
    return [
        (np.flatnonzero(which != fold), np.flatnonzero(which == fold)) for fold in range(_FOLDS) if 0 < (which == fold).sum() < len(which)
    ]


def _chosen(
    data: Any, folds: list[tuple[Integers, Integers]], classes: int, seed: int, passed: Callable[[], None]
) -> tuple[tuple[int, bool], int]:
    """The steadiest way, and the number of its trees, whose cross-validated log loss is within a standard error of the least.

    What others seem to gain beyond that is of this sample, and is the first to go when time passes.
    """
    tried = []
    for way in WAYS:
        patient = lightgbm.early_stopping(_PATIENCE, verbose=False, min_delta=_GAIN)
        curves: dict[str, Any] = lightgbm.cv(settings(classes, way, seed), data, _MOST_TREES, folds=folds, callbacks=[patient])
        (means,), (spreads,) = ([values for name, values in curves.items() if name.endswith(end)] for end in ("-mean", "-stdv"))
        tried.append((means[-1], spreads[-1] / np.sqrt(len(folds)), (way, len(means))))
        passed()
    least, error, _ = min(tried)
    return next(found for loss, _, found in tried if loss <= least + error)


def fit(
    examples: Sequence[Example], targets: Integers, known: Columns, classes: int, seed: int, passed: Callable[[], None]
) -> lightgbm.Booster:
    """``passed`` is called once for each of `WAYS`.

    Raises:
        TooFewExamples: all of one group, so that nothing is left to try the trees on.
    """
    folds = _folds(examples)
    if not folds:
        groups = len({example.group for example in examples})
        raise TooFewExamples("the training part has too few groups to try trees on others than those that they grew on", groups=groups)
    data = lightgbm.Dataset(matrix(examples, known), targets, free_raw_data=False, params={"verbosity": -1})
    way, count = _chosen(data, folds, classes, seed, passed)
    return lightgbm.train(settings(classes, way, seed), data, count)


def to_onnx(model: lightgbm.Booster, name: str) -> bytes:
    """A graph with the output ``probabilities`` alone; the same trees give the same bytes."""
    inputs = [("fields", FloatTensorType([None, model.num_feature()]))]
    made = convert_lightgbm(model, name=name, initial_types=inputs, zipmap=False, target_opset=_OPSET)
    # Labels are the pack's; and the converter gives this output a length of one.
    del made.graph.output[0]
    return bytes(made.SerializeToString())


def tier(artefact: Artefact, known: Columns, classes: int) -> TierModel:
    return TierModel(
        name=NAME,
        kind="trees",
        artefacts=(artefact,),
        inputs={"fields": f"float32[batch, {len(known)}]"},
        outputs={"probabilities": f"float32[batch, {classes}]"},
        columns=known,
    )
