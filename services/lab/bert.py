"""The ONNX graph of a BERT encoder with classification heads, written node by node from its weights.

One document a call and no padding, so there is no mask: a score depends on the document alone. Writing the graph ourselves instead of
tracing gives the same bytes for the same weights, one matrix product for query, key and value, one node for the attention of a layer, and
needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Floats = npt.NDArray[np.float32]
Weights = Mapping[str, Floats]
OPSET: Final = 17
IR_VERSION: Final = 10
INPUT: Final = "input_ids"
INPUTS: Final = {INPUT: "int64[1, tokens]"}
EMBEDDING: Final = "embedding"
# Of ONNX Runtime's own operators: attention in one step takes a sixteenth off a mini's time. Its numbers differ by rounding.
DOMAIN: Final = "com.microsoft"
_EPSILON: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Shape:
    """``layers`` deep, ``width`` wide, with ``units`` in the feed-forward part of each layer; ``width`` is a multiple of ``heads``."""

    layers: int
    width: int
    heads: int
    units: int

    @property
    def per_head(self) -> int:
        return self.width // self.heads

    @property
    def description(self) -> str:
        """For a card."""
        return f"{self.layers} layers, {self.width} wide, {self.units} feed-forward units"


@dataclass(frozen=True, slots=True)
class Head:
    """A linear layer on the mean of the last hidden states: ``weights`` ``(classes, width)``, ``bias`` ``(classes,)``."""

    weights: Floats
    bias: Floats


class _Graph:
    """Nodes and constants as they are added; every method returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.known: list[Any] = []
        self.constants: dict[str, npt.NDArray[Any]] = {}

    def constant(self, name: str, value: npt.NDArray[Any]) -> str:
        self.constants[name] = value
        return name

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=f"n{len(self.nodes)}", **attributes))
        return name

    def attention(self, joined: str, shape: Shape) -> str:
        """Of the scaled queries, the keys and the contents of all heads, which are joined along the last axis."""
        name = f"split_{len(self.nodes)}"
        parts = [f"{name}.{part}" for part in ("query", "key", "value")]
        self.nodes.append(helper.make_node("Split", [joined], parts, name=f"n{len(self.nodes)}", axis=-1))
        made = self.add("MultiHeadAttention", *parts, domain=DOMAIN, num_heads=shape.heads, scale=1.0)
        # What the checker and int8 know of the values behind it: they cannot infer it from an operator that is not ONNX's own.
        self.known.append(helper.make_tensor_value_info(made, TensorProto.FLOAT, [1, "tokens", shape.width]))
        return made

    def linear(self, name: str, value: str, weights: Floats, bias: Floats) -> str:
        """``weights`` as torch keeps them, ``(out, in)``."""
        product = self.add("MatMul", value, self.constant(f"{name}.weight", np.ascontiguousarray(weights.T, dtype=np.float32)))
        return self.add("Add", product, self.constant(f"{name}.bias", np.asarray(bias, dtype=np.float32)))

    def normalised(self, name: str, value: str, weights: Weights) -> str:
        scale = self.constant(f"{name}.scale", np.asarray(weights[f"{name}.weight"], dtype=np.float32))
        shift = self.constant(f"{name}.shift", np.asarray(weights[f"{name}.bias"], dtype=np.float32))
        return self.add("LayerNormalization", value, scale, shift, axis=-1, epsilon=_EPSILON)

    def gelu(self, value: str) -> str:
        """The exact one, in the form that ONNX Runtime fuses."""
        half, one, root = (self.constant(f"f{number:.4}", np.array(number, dtype=np.float32)) for number in (0.5, 1.0, np.sqrt(2)))
        raised = self.add("Add", self.add("Erf", self.add("Div", value, root)), one)
        return self.add("Mul", self.add("Mul", value, raised), half)


def _embedded(graph: _Graph, weights: Weights) -> str:
    words = np.asarray(weights["embeddings.word_embeddings.weight"], dtype=np.float32)
    # There is one segment, so its vector is added to every position once and for all.
    segment = np.asarray(weights["embeddings.token_type_embeddings.weight"], dtype=np.float32)[0]
    places = np.asarray(weights["embeddings.position_embeddings.weight"], dtype=np.float32) + segment
    found = graph.add("Gather", graph.constant("words", words), INPUT, axis=0)
    count = graph.add("Slice", graph.add("Shape", INPUT), *(graph.constant(f"i{n}", np.array([n], dtype=np.int64)) for n in (1, 2)))
    placed = graph.add("Slice", graph.constant("places", places), graph.constant("i0", np.array([0], dtype=np.int64)), count)
    return graph.normalised("embeddings.LayerNorm", graph.add("Add", found, placed), weights)


def _attended(graph: _Graph, layer: str, value: str, weights: Weights, shape: Shape) -> str:
    name = f"{layer}.attention.self"
    parts = ("query", "key", "value")
    # Scaling the query's weights by 1/sqrt(d) saves a product per score.
    scale = np.float32(1 / np.sqrt(shape.per_head))
    scales = (scale, np.float32(1), np.float32(1))
    matrix = np.concatenate([weights[f"{name}.{part}.weight"] * by for part, by in zip(parts, scales, strict=True)])
    bias = np.concatenate([weights[f"{name}.{part}.bias"] * by for part, by in zip(parts, scales, strict=True)])
    return graph.attention(graph.linear(f"{name}.qkv", value, matrix, bias), shape)


def _layer(graph: _Graph, layer: str, value: str, weights: Weights, shape: Shape) -> str:
    def dense(name: str, inside: str) -> str:
        return graph.linear(f"{layer}.{name}", inside, weights[f"{layer}.{name}.weight"], weights[f"{layer}.{name}.bias"])

    attended = dense("attention.output.dense", _attended(graph, layer, value, weights, shape))
    value = graph.normalised(f"{layer}.attention.output.LayerNorm", graph.add("Add", attended, value), weights)
    expanded = dense("output.dense", graph.gelu(dense("intermediate.dense", value)))
    return graph.normalised(f"{layer}.output.LayerNorm", graph.add("Add", expanded, value), weights)


def _outputs(graph: _Graph, hidden: str, heads: Mapping[str, Head]) -> list[Any]:
    mean = graph.add("ReduceMean", hidden, axes=[1], keepdims=0, output=EMBEDDING)
    for name, head in heads.items():
        graph.add("Softmax", graph.linear(f"head.{name}", mean, head.weights, head.bias), axis=-1, output=name)
    value = helper.make_tensor_value_info
    return [value(name, TensorProto.FLOAT, [1, len(head.bias)]) for name, head in heads.items()]


def to_onnx(weights: Weights, shape: Shape, heads: Mapping[str, Head]) -> bytes:
    """Serialised graph in float32: ``input_ids`` to the probabilities of each head; without heads, to the embedding ``(1, width)``.

    Args:
        weights: by name as in transformers' ``BertModel``, without a pooler.
        heads: by name of the output.
    """
    graph = _Graph()
    value = _embedded(graph, weights)
    for index in range(shape.layers):
        value = _layer(graph, f"encoder.layer.{index}", value, weights, shape)
    outputs = _outputs(graph, value, heads) or [helper.make_tensor_value_info(EMBEDDING, TensorProto.FLOAT, [1, shape.width])]
    made = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "encoder",
            [helper.make_tensor_value_info(INPUT, TensorProto.INT64, [1, "tokens"])],
            outputs,
            [numpy_helper.from_array(np.asarray(array), name) for name, array in graph.constants.items()],
            value_info=graph.known,
        ),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)],
        ir_version=IR_VERSION,
        producer_name="recoup lab",
    )
    onnx.checker.check_model(made, full_check=True)
    return cast("bytes", made.SerializeToString(deterministic=True))
