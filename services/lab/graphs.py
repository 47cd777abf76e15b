"""Graphs as the lab needs them: int8 copies, the embeddings of many documents, and what goes on inside."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from services.lab.bert import EMBEDDING, INPUT
from shared.automations.pack import Variant
from shared.inference.session import opened

Floats = npt.NDArray[np.float32]
# Full range where the processor multiplies 8-bit numbers without saturating; 7-bit weights elsewhere, and where one file must serve all.
REDUCED: Final[dict[Variant, bool]] = {"vnni": False, "portable": True, "any": True}


def int8(content: bytes, variant: Variant) -> bytes:
    """Signed int8 weights with a scale per channel, activations quantised per document; heads stay in float32."""
    heads = [node.name for node in onnx.load_model_from_string(content).graph.node if any(name.startswith("head.") for name in node.input)]
    with tempfile.TemporaryDirectory(prefix="recoup-lab-") as folder:
        source, target = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        source.write_bytes(content)
        # It advises at every call to pre-process first; our graph has nothing to fold.
        logging.disable(logging.WARNING)
        try:
            quantize_dynamic(
                source,
                target,
                per_channel=True,
                reduce_range=REDUCED[variant],
                weight_type=QuantType.QInt8,
                nodes_to_exclude=heads,
                # It cannot infer the type of what follows a product that is blockwise.
                extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
            )
        finally:
            logging.disable(logging.NOTSET)
        made = onnx.load_model(target)
    made.producer_name, made.producer_version = "recoup lab", ""
    found: bytes = made.SerializeToString(deterministic=True)
    return found


def embeddings(content: bytes, documents: Sequence[Sequence[int]], passed: Callable[[], None]) -> Floats:
    """``(n, width)`` of token ids, by a graph without heads; ``passed`` is called for each document."""
    session = opened(content)
    found = []
    for ids in documents:
        found.append(np.asarray(session.run([EMBEDDING], {INPUT: np.array([ids], dtype=np.int64)})[0])[0])
        passed()
    return np.array(found, dtype=np.float32)


def watched(graph: Any, values: Mapping[str, str], documents: Sequence[Sequence[int]]) -> Iterator[Mapping[str, Floats]]:
    """For each document, ``(tokens, channels)`` of every value inside the graph; ``values`` are their names there, by any other name."""
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    copy.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in values.values())
    session = opened(copy.SerializeToString())
    for ids in documents:
        found = session.run(list(values.values()), {INPUT: np.array([ids], dtype=np.int64)})
        yield {name: np.asarray(numbers, dtype=np.float32)[0] for name, numbers in zip(values, found, strict=True)}
