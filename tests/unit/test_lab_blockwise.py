"""The last product of each layer with a scale for each block: nearer to 32 bits than one scale for a document."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from services.lab import bert, graphs
from services.lab.blockwise import BLOCK, blockwise
from shared.inference.session import opened

WORDS, PLACES, HEADS = 50, 16, 4


def _graph(width: int) -> bytes:
    """Random weights, with a token now and then whose numbers in the wide layer are far above those of all others."""
    draws = np.random.default_rng(5)
    sizes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (WORDS, width),
        "embeddings.position_embeddings.weight": (PLACES, width),
        "embeddings.token_type_embeddings.weight": (1, width),
    }
    layers = [f"encoder.layer.{index}" for index in range(2)]
    for layer in layers:
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            sizes |= {f"{layer}.{part}.weight": (width, width), f"{layer}.{part}.bias": (width,)}
        sizes |= {f"{layer}.intermediate.dense.weight": (4 * width, width), f"{layer}.intermediate.dense.bias": (4 * width,)}
        sizes |= {f"{layer}.output.dense.weight": (width, 4 * width), f"{layer}.output.dense.bias": (width,)}
    weights = {name: draws.normal(0, 0.1, size).astype(np.float32) for name, size in sizes.items()}
    for layer in layers:
        # Grows with the cube of chance, so that one number of many thousand is what a scale for all must reach.
        weights[f"{layer}.intermediate.dense.weight"] = (3 * draws.normal(0, 0.5, (4 * width, width)) ** 3).astype(np.float32)
    for name in ("embeddings.LayerNorm", *(f"{layer}.{part}LayerNorm" for layer in layers for part in ("attention.output.", "output."))):
        weights |= {f"{name}.weight": np.ones(width, dtype=np.float32), f"{name}.bias": np.zeros(width, dtype=np.float32)}
    head = bert.Head(np.eye(5, width, dtype=np.float32), np.zeros(5, dtype=np.float32))
    return bert.to_onnx(weights, bert.Shape(len(layers), width, HEADS, 4 * width), {"probabilities": head})


def _documents() -> list[list[int]]:
    draws = np.random.default_rng(4)
    return [draws.integers(0, WORDS, length).tolist() for length in draws.integers(4, PLACES, 60)]


def _logarithms(graph: bytes, documents: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
    session = opened(graph)
    return np.log([session.run(["probabilities"], {bert.INPUT: np.array([ids], dtype=np.int64)})[0][0] for ids in documents])


def _kinds(graph: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_model_from_string(graph).graph.node]


def test_int8_with_a_scale_for_each_block_is_nearer_to_32_bits_and_only_in_the_last_product_of_each_layer() -> None:
    graph, documents = _graph(64), _documents()
    exact = _logarithms(graph, documents)
    whole, by_block = graphs.int8(graph, "any"), graphs.int8(blockwise(graph), "any")
    assert _kinds(by_block).count("MatMulNBits") == 2
    assert _kinds(whole).count("DynamicQuantizeLinear") > _kinds(by_block).count("DynamicQuantizeLinear") > 0
    before, after = (np.abs(_logarithms(found, documents) - exact).mean() for found in (whole, by_block))
    assert after < 0.8 * before


def test_alone_it_changes_next_to_nothing() -> None:
    graph, documents = _graph(64), _documents()
    np.testing.assert_allclose(_logarithms(blockwise(graph), documents), _logarithms(graph, documents), atol=0.05)


def test_a_document_scores_the_same_in_any_session_and_after_any_other() -> None:
    graph, documents = graphs.int8(blockwise(_graph(64)), "any"), _documents()
    again = _logarithms(graph, documents[::-1])[::-1]
    np.testing.assert_array_equal(_logarithms(graph, documents), again)


@pytest.mark.parametrize("width", [16, 48])
def test_a_layer_that_is_not_in_whole_blocks_stays_as_it_is(width: int) -> None:
    assert 4 * width % BLOCK
    assert "MatMulNBits" not in _kinds(blockwise(_graph(width)))
