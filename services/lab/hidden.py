"""A nano with one hidden layer: an int8 row of hidden units per hash bucket, and the labels from them; and its ONNX graph.

It reads what the linear model reads, at the same cost. Words no longer speak for each label apart: labels share what they mean, so that
fewer examples teach it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from services.lab.linear import graph_of, matrix, softmax
from shared.automations.hashing import Sparse

Floats = npt.NDArray[np.float32]
_LEVELS: Final = 127


@dataclass(frozen=True, slots=True)
class HiddenModel:
    """One hidden layer of rectified units over hashed features.

    Attributes:
        table: ``(buckets, width)`` int8; a weight is its entry times the scale of its unit.
        scales: ``(width,)`` float32; ``bias`` too.
        heads: ``(classes, width)`` float32, temperature included, with ``head_bias`` ``(classes,)``.
    """

    table: npt.NDArray[np.int8]
    scales: Floats
    bias: Floats
    heads: Floats
    head_bias: Floats

    def logits(self, sparse: Sparse) -> Floats:
        hidden = (matrix(sparse, len(self.table)) @ self.table.astype(np.float32)) * self.scales + self.bias
        return cast("Floats", np.maximum(hidden, 0) @ self.heads.T + self.head_bias)

    def probabilities(self, sparse: Sparse) -> Floats:
        """``(batch, classes)``; agrees with the graph to about 1e-6, not bit by bit."""
        return softmax(self.logits(sparse))

    def cooled(self, temperature: float) -> HiddenModel:
        """The same model with its logits divided by ``temperature``."""
        heads, bias = (self.heads / temperature).astype(np.float32), (self.head_bias / temperature).astype(np.float32)
        return HiddenModel(self.table, self.scales, self.bias, heads, bias)


def quantised(weights: Floats, bias: Floats, heads: Floats, head_bias: Floats) -> HiddenModel:
    """Symmetric int8, one scale per hidden unit; the small last layer stays as it is."""
    scales = (np.maximum(np.abs(weights).max(axis=0), 1e-9) / _LEVELS).astype(np.float32)
    return HiddenModel(np.rint(weights / scales).astype(np.int8), scales, bias, heads, head_bias)


def _nodes() -> list[Any]:
    """As the linear model's up to the sums, then rectified units and the labels."""
    make = helper.make_node
    return [
        make("Gather", ["table", "ids"], ["picked"], axis=0),
        make("Cast", ["picked"], ["weights"], to=TensorProto.FLOAT),
        make("Unsqueeze", ["values", "last"], ["column"]),
        make("Mul", ["weights", "column"], ["updates"]),
        make("Concat", ["batch", "width"], ["shape"], axis=0),
        make("ConstantOfShape", ["shape"], ["zeros"], value=helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])),
        make("Unsqueeze", ["rows", "last"], ["indices"]),
        make("ScatterND", ["zeros", "indices", "updates"], ["sums"], reduction="add"),
        make("Mul", ["sums", "scales"], ["scaled"]),
        make("Add", ["scaled", "bias"], ["open"]),
        make("Relu", ["open"], ["hidden"]),
        # One product for each document: one for all would be free to add in another order where there are many.
        make("Unsqueeze", ["hidden", "inner"], ["columns"]),
        make("MatMul", ["heads", "columns"], ["products"]),
        make("Squeeze", ["products", "inner"], ["together"]),
        make("Add", ["together", "head_bias"], ["logits"]),
        make("Softmax", ["logits"], ["probabilities"], axis=1),
    ]


def to_onnx(model: HiddenModel, name: str) -> bytes:
    """Serialised graph with the inputs of `services.lab.linear.INPUTS`; the same model gives the same bytes."""
    classes, width = model.heads.shape
    constants: dict[str, npt.NDArray[Any]] = {
        "table": model.table,
        "scales": model.scales,
        "bias": model.bias,
        "heads": model.heads,
        "head_bias": model.head_bias,
        "last": np.array([1], dtype=np.int64),
        "inner": np.array([2], dtype=np.int64),
        "width": np.array([width], dtype=np.int64),
    }
    return graph_of(_nodes(), constants, name, classes)


def from_onnx(content: bytes) -> HiddenModel:
    """The model in a graph that `to_onnx` wrote."""
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load_model_from_string(content).graph.initializer}
    return HiddenModel(*(known[name] for name in ("table", "scales", "bias", "heads", "head_bias")))
