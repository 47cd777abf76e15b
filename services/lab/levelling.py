"""Encoders made ready for int8: a few channels of their activations are far above all others, and are brought down to them.

Dynamic quantisation takes one scale for all numbers that enter a matrix product, and a pretrained encoder has a channel in which the first
token of every text is five times what any other number is, so that the others share a fifth of the 256 steps. To divide a channel by a
number and to multiply the weights that meet it by the same changes nothing in 32 bits. SmoothQuant (Xiao, Lin, Seznec, Wu, Demouth and Han,
2023) does so with all channels; here it is done with those that stand out, because their weights get coarser for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from services.lab import graphs

Floats = npt.NDArray[np.float32]
# Which channel stands out hardly depends on the text, so few texts tell.
_PROBED: Final = 100
# Channels are brought down to the third, because a second one often goes with the first.
_LEVEL: Final = 3
# Below this, a multiplication of every number costs more time than the steps are worth.
_STANDS_OUT: Final = 1.5


def spread(texts: Sequence[str], count: int = _PROBED) -> Sequence[str]:
    """Some ``count`` of these texts, from the first to the last: data are often in the order of their labels."""
    return texts[:: max(len(texts) // count, 1)]


def levelled(content: bytes, documents: Sequence[Sequence[int]]) -> bytes:
    """The same function of token ids in 32 bits, with no channel far above the others where numbers enter a matrix product.

    Args:
        content: a graph of `bert.to_onnx`.
        documents: token ids of training texts.
    """
    graph = onnx.load_model_from_string(content)
    products = {node.input[1]: node.input[0] for node in _products(graph)}
    factors = {weights: found for weights, peak in _peaks(graph, products, documents).items() if (found := _factors(peak)) is not None}
    return _divided(graph, factors)


def _products(graph: Any) -> list[Any]:
    """Products with weights; those of a head stay in 32 bits, and those of two activations too."""
    constants = {tensor.name for tensor in graph.graph.initializer}
    return [
        node
        for node in graph.graph.node
        if node.op_type == "MatMul" and node.input[1] in constants and not node.input[1].startswith("head.")
    ]


def _peaks(graph: Any, products: Mapping[str, str], documents: Sequence[Sequence[int]]) -> Mapping[str, Floats]:
    """By name of the weights, ``(channels,)`` the greatest magnitude of each channel of what enters the product."""
    peaks: dict[str, Floats] = {}
    for found in graphs.watched(graph, products, documents):
        for weights, numbers in found.items():
            peak = np.abs(numbers).max(axis=0)
            peaks[weights] = np.maximum(peaks[weights], peak) if weights in peaks else peak
    return peaks


def _factors(peak: Floats) -> Floats | None:
    """``(channels,)`` what each is divided by, 1 for nearly all; None where none stands out."""
    level = np.sort(peak)[-_LEVEL]
    return np.maximum(peak / level, 1).astype(np.float32) if peak.max() > _STANDS_OUT * level > 0 else None


def _divided(graph: Any, factors: Mapping[str, Floats]) -> bytes:
    tensors = {tensor.name: tensor for tensor in graph.graph.initializer}
    nodes = []
    for node in graph.graph.node:
        weights = node.input[1] if node.op_type == "MatMul" else ""
        if weights in factors:
            factor, tensor = factors[weights], tensors[weights]
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * factor[:, None], weights))
            graph.graph.initializer.append(numpy_helper.from_array(1 / factor, f"{weights}.level"))
            nodes.append(helper.make_node("Mul", [node.input[0], f"{weights}.level"], [f"{weights}.in"], name=f"level.{weights}"))
            node.input[0] = f"{weights}.in"
        nodes.append(node)
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    return cast("bytes", graph.SerializeToString(deterministic=True))
