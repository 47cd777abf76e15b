"""Encoders with fewer feed-forward units: those are cut of which a constant says nearly all that they say.

A unit weighs what the output of its layer would lose, were the unit always at its mean: the variance of its activation times the squared
norm of its column in the layer's last product. What is cut leaves its mean in that product's bias. So in FLAP (An, Zhao, Yu, Tang and Wang,
"Fluctuation-based Adaptive Structured Pruning for Large Language Models", AAAI 2024), here with as many units in each layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx

from services.lab import bert, graphs
from services.lab.bert import Floats, Shape, Weights
from shared.errors import Rejected

Doubles = npt.NDArray[np.float64]
# Texts, from the first to the last, that say how much units vary: some ten thousand tokens.
SEEN: Final = 1_000


class TooWide(Rejected):
    """More feed-forward units are to be kept than the encoder has, or none."""

    code = "too_wide"


@dataclass(frozen=True, slots=True)
class Spread:
    """``(units,)`` mean and variance of each unit's activation, over all tokens."""

    mean: Doubles
    variance: Doubles


def checked(units: int | None, there: int) -> None:
    """Raises TooWide where ``units`` cannot be kept of those that are ``there``; None keeps all."""
    if units is not None and not 1 <= units <= there:
        raise TooWide(wanted=units, there=there)


def units_of(weights: Weights) -> int:
    """Feed-forward units of each layer."""
    return len(weights["encoder.layer.0.intermediate.dense.bias"])


def narrowed(weights: Weights, shape: Shape, documents: Sequence[Sequence[int]], units: int) -> Weights:
    """The encoder with the ``units`` of each layer that weigh most, in their order; the same weights where that is all of them.

    Args:
        weights: by name as in transformers' ``BertModel``; layers beyond ``shape`` stay as they are.
        documents: token ids of training texts.

    Raises:
        TooWide: it has fewer units, or ``units`` is below 1.
    """
    there = units_of(weights)
    checked(units, there)
    if units == there:
        return weights
    last = [f"encoder.layer.{index}.output.dense.weight" for index in range(shape.layers)]
    graph = onnx.load_model_from_string(bert.to_onnx(weights, shape, {}))
    entering = {node.input[1]: node.input[0] for node in graph.graph.node if node.op_type == "MatMul" and node.input[1] in last}
    cut = dict(weights)
    for name, spread in _spreads(graphs.watched(graph, entering, documents)).items():
        cut |= _cut(weights, name.removesuffix(".output.dense.weight"), spread, units)
    return cut


def importance(outgoing: Floats, spread: Spread) -> Doubles:
    """``(units,)`` mean squared error of the layer's output where each alone is held at its mean; ``outgoing`` is ``(width, units)``."""
    return np.asarray(spread.variance * (outgoing.astype(np.float64) ** 2).sum(axis=0))


def _spreads(seen: Iterable[Mapping[str, Floats]]) -> dict[str, Spread]:
    sums: dict[str, Doubles] = {}
    squares: dict[str, Doubles] = {}
    count = 0
    for found in seen:
        count += len(next(iter(found.values())))
        for name, numbers in found.items():
            wide = numbers.astype(np.float64)
            sums[name] = sums.get(name, 0.0) + wide.sum(axis=0)
            squares[name] = squares.get(name, 0.0) + (wide**2).sum(axis=0)
    means = {name: total / count for name, total in sums.items()}
    return {name: Spread(mean, np.maximum(squares[name] / count - mean**2, 0.0)) for name, mean in means.items()}


def _cut(weights: Weights, layer: str, spread: Spread, units: int) -> dict[str, Any]:
    inner, last = f"{layer}.intermediate.dense", f"{layer}.output.dense"
    outgoing = weights[f"{last}.weight"]
    order = np.argsort(-importance(outgoing, spread), kind="stable")
    kept, gone = np.sort(order[:units]), order[units:]
    constant = outgoing[:, gone].astype(np.float64) @ spread.mean[gone]
    return {
        f"{inner}.weight": weights[f"{inner}.weight"][kept],
        f"{inner}.bias": weights[f"{inner}.bias"][kept],
        f"{last}.weight": np.ascontiguousarray(outgoing[:, kept]),
        f"{last}.bias": (weights[f"{last}.bias"] + constant).astype(np.float32),
    }
