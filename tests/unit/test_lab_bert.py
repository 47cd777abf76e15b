"""The graph of an encoder: in 32 bits what BERT is, in int8 nearly the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.lab import bert, graphs, levelling, quantising
from shared.inference.session import opened
from tests.tiny_encoders import encoder_weights


def _normalised(values: npt.NDArray[np.float64], weights: Mapping[str, npt.NDArray[np.float32]], name: str) -> npt.NDArray[np.float64]:
    centred = values - values.mean(-1, keepdims=True)
    return np.asarray(centred / np.sqrt(centred.var(-1, keepdims=True) + 1e-12) * weights[f"{name}.weight"] + weights[f"{name}.bias"])


def _reference(ids: Sequence[int], weights: Mapping[str, npt.NDArray[np.float32]], shape: bert.Shape) -> npt.NDArray[np.float64]:
    """BERT as its paper has it, in double precision, head by head."""
    from math import erf  # noqa: PLC0415 - only the reference needs it

    def dense(value: npt.NDArray[np.float64], name: str) -> npt.NDArray[np.float64]:
        return np.asarray(value @ weights[f"{name}.weight"].T.astype(np.float64) + weights[f"{name}.bias"])

    value = weights["embeddings.word_embeddings.weight"][list(ids)].astype(np.float64)
    value = value + weights["embeddings.position_embeddings.weight"][: len(ids)] + weights["embeddings.token_type_embeddings.weight"][0]
    value = _normalised(value, weights, "embeddings.LayerNorm")
    for layer in (f"encoder.layer.{index}" for index in range(shape.layers)):
        query, key, content = (dense(value, f"{layer}.attention.self.{part}") for part in ("query", "key", "value"))
        mixed = []
        for start in range(0, shape.width, shape.per_head):
            inside = slice(start, start + shape.per_head)
            scores = query[:, inside] @ key[:, inside].T / np.sqrt(shape.per_head)
            powers = np.exp(scores - scores.max(1, keepdims=True))
            mixed.append(powers / powers.sum(1, keepdims=True) @ content[:, inside])
        attended = dense(np.concatenate(mixed, axis=1), f"{layer}.attention.output.dense")
        value = _normalised(value + attended, weights, f"{layer}.attention.output.LayerNorm")
        inner = dense(value, f"{layer}.intermediate.dense")
        inner = 0.5 * inner * (1 + np.vectorize(erf)(inner / np.sqrt(2)))
        value = _normalised(value + dense(inner, f"{layer}.output.dense"), weights, f"{layer}.output.LayerNorm")
    return np.asarray(value.mean(axis=0))


SHAPE = bert.Shape(layers=2, width=32, heads=4, units=128)


def _with_an_outlier(factor: float) -> bytes:
    """An encoder in which one channel of what enters a product is always so large, as in pretrained ones, and the others are near 1."""
    weights = {name: 0.2 * value if value.ndim > 1 else np.sign(value) for name, value in encoder_weights(SHAPE, 50, 16).items()}
    weights["encoder.layer.0.intermediate.dense.weight"][5] = 0
    weights["encoder.layer.0.intermediate.dense.bias"][5] = factor
    weights["encoder.layer.0.output.dense.weight"][:, 5] /= factor
    return bert.to_onnx(weights, SHAPE, {"probabilities": bert.Head(np.eye(5, 32, dtype=np.float32), np.zeros(5, dtype=np.float32))})


def _logarithms(graph: bytes, documents: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
    session = opened(graph)
    return np.log([session.run(["probabilities"], {bert.INPUT: np.array([ids], dtype=np.int64)})[0][0] for ids in documents])


def test_a_channel_far_above_the_others_is_levelled_before_int8_and_nothing_changes_in_32_bits() -> None:
    draws = np.random.default_rng(4)
    documents = [draws.integers(0, 50, length).tolist() for length in draws.integers(4, 16, 60)]
    graph = _with_an_outlier(60.0)
    made = levelling.levelled(graph, documents[:30])
    exact, level = _logarithms(graph, documents), _logarithms(made, documents)
    np.testing.assert_allclose(level, exact, atol=1e-5)
    before, after = (np.abs(_logarithms(graphs.int8(found, "any"), documents) - exact).mean() for found in (graph, made))
    assert after < 0.5 * before


def test_an_encoder_without_such_a_channel_stays_as_it_is() -> None:
    graph = _with_an_outlier(1.0)
    assert levelling.levelled(graph, [[1, 2, 3], [4, 5, 6, 7]] * 20) == graph


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 49), min_size=1, max_size=24))
def test_the_graph_of_an_encoder_computes_what_bert_is(ids: list[int]) -> None:
    weights = encoder_weights(SHAPE, 50, 24)
    served = opened(bert.to_onnx(weights, SHAPE, {})).run(None, {bert.INPUT: np.array([ids], dtype=np.int64)})[0]
    np.testing.assert_allclose(np.asarray(served)[0], _reference(ids, weights, SHAPE), atol=2e-4)


def test_attention_is_one_step_of_each_layer_in_32_bits_and_in_int8() -> None:
    content = bert.to_onnx(encoder_weights(SHAPE, 50, 24), SHAPE, {})
    for graph in (content, graphs.int8(content, "any")):
        kinds = Counter((node.domain, node.op_type) for node in onnx.load_model_from_string(graph).graph.node)
        assert kinds["com.microsoft", "MultiHeadAttention"] == kinds["", "Split"] == SHAPE.layers
        assert not {kind for _, kind in kinds} & {"Softmax", "Transpose", "Reshape"}


def test_an_encoder_with_several_heads_answers_each_and_int8_says_nearly_the_same() -> None:
    weights, draws = encoder_weights(SHAPE, 50, 24), np.random.default_rng(6)
    heads = {
        name: bert.Head(draws.normal(size=(count, 32)).astype(np.float32), np.zeros(count, np.float32))
        for name, count in (("x", 3), ("y", 5))
    }
    content = bert.to_onnx(weights, SHAPE, heads)
    assert content == bert.to_onnx(weights, SHAPE, heads)
    ids = {bert.INPUT: np.array([[2, 7, 9, 3]], dtype=np.int64)}
    exact = [np.asarray(found) for found in opened(content).run(["x", "y"], ids)]
    assert [found.shape for found in exact] == [(1, 3), (1, 5)]
    assert all(found.sum() == pytest.approx(1, abs=1e-5) for found in exact)
    for variant in ("vnni", "portable"):
        small = graphs.int8(content, variant)
        assert small == graphs.int8(content, variant)
        assert len(small) < 0.5 * len(content)
        for found, wanted in zip(opened(small).run(["x", "y"], ids), exact, strict=True):
            np.testing.assert_allclose(np.asarray(found), wanted, atol=0.25)


def test_what_another_graph_changes_is_counted_document_by_document() -> None:
    draws = np.random.default_rng(6)
    first = bert.Head(draws.normal(size=(3, 32)).astype(np.float32), np.zeros(3, np.float32))
    opposite = bert.Head(-first.weights, first.bias)
    weights, documents, steps = encoder_weights(SHAPE, 50, 24), draws.integers(4, 50, (40, 12)).tolist(), []
    one, same, other = (
        quantising.said(bert.to_onnx(weights, SHAPE, {"x": head}), "x", documents, lambda: steps.append(1))
        for head in (first, first, opposite)
    )
    assert len(steps) == 120
    assert quantising.counted(one, same, other) == {"judged": 40, "flips": 0, "worse": 0, "better": 0}
    changed = quantising.counted(one, other, other)
    assert changed["flips"] == changed["better"] == 40
    assert changed["worse"] == 0
    assert quantising.flips_at_least(changed) < changed["flips"] / 40
    assert quantising.loss_at_least(quantising.counted(other, one, other)) > 0
