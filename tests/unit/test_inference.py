"""Scores that depend on nothing but the document, and what is refused before there is a score."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from shared.automations.contract import Features
from shared.errors import InvariantBroken
from shared.inference import processor
from shared.inference.scorers import DocumentTokenizer, TransformerScorer, mixed
from shared.inference.session import Session
from tests.tiny_models import tiny_scorer, words, write_tokenizer

documents = st.builds(Features, st.text(max_size=120), st.dictionaries(st.sampled_from(["cause", "amount"]), st.text(max_size=8)))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TransformerScorer:
    return tiny_scorer(tmp_path_factory.mktemp("tiny"))


@settings(deadline=None, max_examples=60)
@given(st.lists(documents, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_a_transformers_score_is_the_same_alone_in_any_order_and_in_any_chunk(
    tiny: TransformerScorer, batch: list[Features], random: Any
) -> None:
    alone = [tiny.probabilities([document]).tobytes() for document in batch]
    order = list(range(len(batch)))
    random.shuffle(order)
    cut = random.randrange(len(batch) + 1)
    shuffled = [batch[index] for index in order]
    rows = [row.tobytes() for chunk in (shuffled[:cut], shuffled[cut:]) for row in tiny.probabilities(chunk)]
    assert rows == [alone[index] for index in order]


def test_the_model_tells_documents_apart_and_sees_their_fields(tiny: TransformerScorer) -> None:
    texts = [Features(text) for text in words(20, 1)]
    rows = tiny.probabilities([*texts, Features("a", {"cause": "hail"}), Features("a", {"cause": "theft"})])
    assert rows.shape == (22, 3)
    assert len({row.tobytes() for row in rows}) > 18
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-6)
    assert rows[-1].tobytes() != rows[-2].tobytes()
    assert tiny.probabilities([]).shape == (0, 3)


def test_what_stands_behind_the_last_token_that_fits_moves_nothing_and_costs_nothing(tiny: TransformerScorer) -> None:
    start = "the mortgage escrow " * 40
    first, second = tiny.probabilities([Features(start + "loan " * 1000), Features(start + "car " * 200_000)])
    assert first.tobytes() == second.tobytes()


@settings(deadline=None)
@given(
    st.lists(st.lists(st.floats(0.001, 1), min_size=3, max_size=3), min_size=2, max_size=5),
    st.floats(0.1, 2),
)
def test_a_mixture_is_a_distribution_between_its_parts(rows: list[list[float]], weight: float) -> None:
    parts = {f"tier {n}": np.array(row) / sum(row) for n, row in enumerate(rows)}
    found = mixed(dict.fromkeys(parts, weight), parts)
    assert found.sum() == pytest.approx(1, abs=1e-6)
    assert mixed({"tier 0": 1.0}, parts) == pytest.approx(parts["tier 0"], abs=1e-6)
    if len({int(np.argmax(row)) for row in parts.values()}) == 1:
        assert int(np.argmax(found)) == int(np.argmax(parts["tier 0"]))


def test_a_label_that_one_model_excludes_is_excluded_without_a_warning() -> None:
    assert mixed({"a": 0.5, "b": 0.5}, {"a": [1.0, 0.0], "b": [0.4, 0.6]})[1] < 1e-6


def test_a_changed_tokenizer_and_one_that_is_none_are_refused(tmp_path: Path) -> None:
    digest = write_tokenizer(tmp_path / "tokenizer.json")
    with pytest.raises(InvariantBroken):
        DocumentTokenizer(tmp_path / "tokenizer.json", "0" * 64, 8).ids("a")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(InvariantBroken):
        DocumentTokenizer(tmp_path / "other.json", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", 8).ids("a")
    assert len(DocumentTokenizer(tmp_path / "tokenizer.json", digest, 8).ids("the mortgage loan " * 50)) == 8


def test_an_output_that_the_graph_does_not_have_is_refused(tmp_path: Path) -> None:
    tiny_scorer(tmp_path)
    session = Session(tmp_path / "tiny.onnx", hashlib.sha256((tmp_path / "tiny.onnx").read_bytes()).hexdigest())
    with pytest.raises(InvariantBroken):
        session.width("no such output")


def test_the_probe_is_one_integer_product_and_an_inexact_sum_chooses_the_7_bit_artefact() -> None:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["c"])],
        "p",
        [value("a", TensorProto.UINT8, ["m", "k"]), value("b", TensorProto.INT8, ["k", "n"])],
        [value("c", TensorProto.INT32, ["m", "n"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    assert model.SerializeToString(deterministic=True) == processor.PROBE
    # Pairs of products added in 16 bits stop at 32767.
    assert processor.variant_of(32 * 32767) == "portable"
    assert processor.variant_of(64 * 255 * 127) == "vnni"


def test_probing_takes_well_below_a_second_and_agrees_with_what_the_processor_says_of_itself() -> None:
    found = processor.processor()
    assert found.seconds < 1
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    if "flags" in flags:
        assert (found.variant == "vnni") == ("avx512_vnni" in flags or "avx_vnni" in flags)
