"""The nano model: one int8 row of class weights per hash bucket, and its ONNX graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from scipy.sparse import csr_matrix

from shared.automations.hashing import Sparse

Floats = npt.NDArray[np.float32]
OPSET: Final = 18
IR_VERSION: Final = 10
INPUTS: Final = {"ids": "int64[nnz]", "values": "float32[nnz]", "rows": "int64[nnz]", "batch": "int64[1]"}


def matrix(sparse: Sparse, buckets: int) -> csr_matrix:
    """``(batch, buckets)``; entries of one bucket add up, as in the graph."""
    pointers = np.searchsorted(sparse.rows, np.arange(sparse.batch + 1))
    return csr_matrix((sparse.values, sparse.ids, pointers), shape=(sparse.batch, buckets))


@dataclass(frozen=True, slots=True)
class LinearModel:
    """Multinomial logistic regression with quantised weights.

    Attributes:
        table: ``(buckets, classes)`` int8; a weight is its entry times the scale of its class.
        scales: ``(classes,)`` float32, temperature included; ``bias`` too.
    """

    table: npt.NDArray[np.int8]
    scales: Floats
    bias: Floats

    @property
    def buckets(self) -> int:
        return int(self.table.shape[0])

    def logits(self, sparse: Sparse) -> Floats:
        product = matrix(sparse, self.buckets) @ self.table.astype(np.float32)
        return cast("Floats", product * self.scales + self.bias)

    def probabilities(self, sparse: Sparse) -> Floats:
        """``(batch, classes)``; agrees with the graph to about 1e-6, not bit by bit."""
        return softmax(self.logits(sparse))

    def cooled(self, temperature: float) -> LinearModel:
        """The same model with its logits divided by ``temperature``."""
        return LinearModel(self.table, (self.scales / temperature).astype(np.float32), (self.bias / temperature).astype(np.float32))


def softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return cast("Floats", powers / powers.sum(axis=1, keepdims=True))


def quantised(weights: npt.NDArray[np.float64], bias: npt.NDArray[np.float64]) -> LinearModel:
    """Symmetric int8, one scale per class. ``weights`` is ``(buckets, classes)``."""
    scales = np.maximum(np.abs(weights).max(axis=0), 1e-9) / 127
    return LinearModel(np.rint(weights / scales).astype(np.int8), scales.astype(np.float32), bias.astype(np.float32))


def _nodes() -> list[Any]:
    """Gather rows of the table, weigh them, add each to the sum of its document, scale, softmax."""
    make = helper.make_node
    return [
        make("Gather", ["table", "ids"], ["picked"], axis=0),
        make("Cast", ["picked"], ["weights"], to=TensorProto.FLOAT),
        make("Unsqueeze", ["values", "last"], ["column"]),
        make("Mul", ["weights", "column"], ["updates"]),
        make("Concat", ["batch", "classes"], ["shape"], axis=0),
        make("ConstantOfShape", ["shape"], ["zeros"], value=helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])),
        make("Unsqueeze", ["rows", "last"], ["indices"]),
        # One thread adds the entries of a row in their order, so a document's sum does not depend on its neighbours.
        make("ScatterND", ["zeros", "indices", "updates"], ["sums"], reduction="add"),
        make("Mul", ["sums", "scales"], ["scaled"]),
        make("Add", ["scaled", "bias"], ["logits"]),
        make("Softmax", ["logits"], ["probabilities"], axis=1),
    ]


def to_onnx(model: LinearModel, name: str) -> bytes:
    """Serialised graph; the same model gives the same bytes."""
    classes = int(model.table.shape[1])
    constants: dict[str, npt.NDArray[Any]] = {
        "table": model.table,
        "scales": model.scales,
        "bias": model.bias,
        "last": np.array([1], dtype=np.int64),
        "classes": np.array([classes], dtype=np.int64),
    }
    return graph_of(_nodes(), constants, name, classes)


def graph_of(nodes: Sequence[Any], constants: Mapping[str, npt.NDArray[Any]], name: str, classes: int) -> bytes:
    """Serialised graph from `INPUTS` to the probabilities of so many classes, which nodes and constants are the inside of."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        list(nodes),
        name,
        [
            value("ids", TensorProto.INT64, ["nnz"]),
            value("values", TensorProto.FLOAT, ["nnz"]),
            value("rows", TensorProto.INT64, ["nnz"]),
            value("batch", TensorProto.INT64, [1]),
        ],
        [value("probabilities", TensorProto.FLOAT, ["documents", classes])],
        [numpy_helper.from_array(array, constant) for constant, array in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="recoup lab")
    onnx.checker.check_model(made, full_check=True)
    return cast("bytes", made.SerializeToString(deterministic=True))


def from_onnx(content: bytes) -> LinearModel:
    """The model in a graph that `to_onnx` wrote."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load_model_from_string(content).graph.initializer}
    return LinearModel(constants["table"], constants["scales"], constants["bias"])
