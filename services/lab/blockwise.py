"""The last product of each layer in int8 with a scale for each block of a token's numbers: one for the whole document is too coarse there.

What enters it has been through the activation, so a few numbers are far above the rest, in other places for each token; dynamic
quantisation takes one scale for all of them. ONNX Runtime's ``MatMulNBits`` rounds activations inside the product, block by block. It takes
nearly twice the time, so only that product is computed so.
"""

from __future__ import annotations

import re
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from services.lab.bert import DOMAIN

_LAST: Final = re.compile(r"encoder\.layer\.\d+\.output\.dense\.weight")
BLOCK: Final = 128
_LEVELS: Final = 127
# What stands for nothing where weights are kept without a sign.
_ZERO: Final = 128
# Of the kernel: activations are rounded to int8 too.
_INT8: Final = 4


def blockwise(content: bytes) -> bytes:
    """The same function of token ids, nearly: those products in int8, all else as it was.

    Args:
        content: a graph of `bert.to_onnx`; a layer whose width is not in whole blocks is left as it is.
    """
    graph = onnx.load_model_from_string(content)
    tensors = {tensor.name: tensor for tensor in graph.graph.initializer}
    nodes = []
    for node in graph.graph.node:
        name = node.input[1] if node.op_type == "MatMul" else ""
        if _LAST.fullmatch(name) and tensors[name].dims[0] % BLOCK == 0:
            rounded, scales = _rounded(numpy_helper.to_array(tensors[name]))
            tensors[name].CopyFrom(numpy_helper.from_array(rounded, name))
            graph.graph.initializer.append(numpy_helper.from_array(scales, f"{name}.scales"))
            nodes.append(_product(node, name, scales.shape[0], rounded.shape[1] * BLOCK))
        else:
            nodes.append(node)
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    return cast("bytes", graph.SerializeToString(deterministic=True))


def _product(node: Any, weights: str, wide: int, deep: int) -> Any:
    inputs, outputs = [node.input[0], weights, f"{weights}.scales"], list(node.output)
    sizes: dict[str, Any] = {"N": wide, "K": deep, "bits": 8, "block_size": BLOCK, "accuracy_level": _INT8}
    return helper.make_node("MatMulNBits", inputs, outputs, name=node.name, domain=DOMAIN, **sizes)


def _rounded(weights: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Of ``(deep, wide)``: ``(wide, blocks, BLOCK)`` around `_ZERO`, and a scale for each of ``(wide, blocks)``."""
    blocks = np.ascontiguousarray(weights.T).reshape(weights.shape[1], -1, BLOCK)
    scales = np.maximum(np.abs(blocks).max(axis=2), 1e-9) / _LEVELS
    return (np.rint(blocks / scales[:, :, None]) + _ZERO).astype(np.uint8), scales.astype(np.float32)
