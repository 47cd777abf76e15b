"""Feed-forward units that say least are cut first, and what is left computes the rest of the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from services.lab import bert, graphs, narrowing
from services.lab.bert import Shape, Weights
from services.lab.main import app
from services.lab.narrowing import Spread, TooWide, importance, narrowed, units_of
from services.lab.teacher import load
from shared.inference.session import opened
from tests.tiny_encoders import encoder_weights, write_encoder

UNITS = 64
SHAPE = Shape(layers=2, width=16, heads=2, units=UNITS)
TEXTS = [f"the {what} number {index} was {how}" for index in range(60) for what in ("card", "loan") for how in ("lost", "paid", "late")]


def _documents(count: int = 60) -> list[list[int]]:
    draws = np.random.default_rng(4)
    return [draws.integers(0, 50, length).tolist() for length in draws.integers(3, 16, count)]


def _embedded(weights: Weights, documents: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
    return graphs.embeddings(bert.to_onnx(weights, SHAPE, {}), documents, lambda: None)


def _silenced(weights: Weights, kept: Weights) -> Weights:
    """All units are there, but those that were cut always say nothing, and the bias is what it was after the cut."""
    silent = dict(weights)
    for layer in (f"encoder.layer.{index}" for index in range(SHAPE.layers)):
        rows = {row.tobytes() for row in kept[f"{layer}.intermediate.dense.weight"]}
        gone = [row.tobytes() not in rows for row in weights[f"{layer}.intermediate.dense.weight"]]
        silent[f"{layer}.output.dense.weight"] = np.where(gone, np.float32(0), weights[f"{layer}.output.dense.weight"])
        silent[f"{layer}.output.dense.bias"] = kept[f"{layer}.output.dense.bias"]
    return silent


def test_keeping_all_units_changes_nothing() -> None:
    weights = encoder_weights(SHAPE, 50, 16)
    assert narrowed(weights, SHAPE, _documents(), UNITS) is weights


@settings(deadline=None, max_examples=10)
@given(st.integers(1, UNITS - 1))
def test_a_narrower_encoder_says_what_the_whole_one_says_with_those_units_silent(units: int) -> None:
    weights, documents = encoder_weights(SHAPE, 50, 16), _documents()
    made = narrowed(weights, SHAPE, documents, units)
    assert units_of(made) == units
    np.testing.assert_allclose(_embedded(made, documents), _embedded(_silenced(weights, made), documents), atol=2e-4)


def test_what_says_least_goes_first_and_a_unit_that_always_says_the_same_costs_nothing() -> None:
    weights, documents = dict(encoder_weights(SHAPE, 50, 16)), _documents()
    steady, weak = [3, 17, 40], [5, 60]
    for layer in (f"encoder.layer.{index}" for index in range(SHAPE.layers)):
        weights[f"{layer}.intermediate.dense.weight"][steady] = 0
        weights[f"{layer}.intermediate.dense.bias"][steady] = 7.0
        weights[f"{layer}.output.dense.weight"][:, weak] /= 1_000_000
    whole = _embedded(weights, documents)
    made = narrowed(weights, SHAPE, documents, UNITS - 3)
    np.testing.assert_allclose(_embedded(made, documents), whole, atol=1e-3)
    fewer = narrowed(weights, SHAPE, documents, UNITS - 5)
    np.testing.assert_allclose(_embedded(fewer, documents), whole, atol=0.05)
    left = [row for row in range(UNITS) if row not in {*steady, *weak}]
    for layer in (f"encoder.layer.{index}" for index in range(SHAPE.layers)):
        name = f"{layer}.intermediate.dense.weight"
        np.testing.assert_array_equal(fewer[name], weights[name][left])
    errors = [float(np.abs(_embedded(narrowed(weights, SHAPE, documents, units), documents) - whole).mean()) for units in (56, 32, 8)]
    assert errors == sorted(errors)


def test_importance_is_the_error_of_holding_one_unit_at_its_mean() -> None:
    draws = np.random.default_rng(2)
    said, outgoing = draws.normal(1.0, draws.random(6) * 3, (500, 6)), draws.normal(0, 1, (4, 6)).astype(np.float32)
    found = importance(outgoing, Spread(said.mean(axis=0), said.var(axis=0)))
    for unit in range(6):
        held = said.copy()
        held[:, unit] = said[:, unit].mean()
        lost = (((said - held) @ outgoing.T.astype(np.float64)) ** 2).sum(axis=1).mean()
        assert found[unit] == pytest.approx(lost)


@pytest.mark.parametrize("units", [0, -1, UNITS + 1])
def test_no_unit_and_more_than_there_are_cannot_be_kept(units: int) -> None:
    with pytest.raises(TooWide) as refused:
        narrowed(encoder_weights(SHAPE, 50, 16), SHAPE, _documents(), units)
    assert refused.value.context == {"wanted": units, "there": UNITS}
    narrowing.checked(None, UNITS)


def test_a_teacher_is_loaded_with_fewer_units_in_the_layers_that_are_kept_and_shipped_in_int8(tmp_path: Path) -> None:
    write_encoder(tmp_path / "bert", TEXTS, SHAPE)
    whole = load(str(tmp_path / "bert"), TEXTS, 64)
    made = load(str(tmp_path / "bert"), TEXTS, 64, layers=1, width=24)
    assert (made.provenance["teacher_layers"], made.provenance["teacher_feed_forward_units"]) == (1, 24)
    assert whole.provenance["teacher_feed_forward_units"] == UNITS
    sizes = [len(graphs.int8(bert.to_onnx(found.weights, replace(found.shape, layers=1), {}), "any")) for found in (whole, made)]
    saved = 2 * SHAPE.width * (UNITS - 24)
    assert saved < sizes[0] - sizes[1] < 2 * saved
    graph = opened(graphs.int8(bert.to_onnx(made.weights, made.shape, {}), "any"))
    assert np.isfinite(graph.run(None, {bert.INPUT: np.array([[1, 2, 3]], dtype=np.int64)})[0]).all()


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (("--width", "0"), "greater than or equal to 1"),
        (("--width", "8"), "name one with --teacher"),
        (("--layers", "1"), "name one with --teacher"),
        (("--teacher", "bert", "--width", "65"), "wanted: 65; there: 64"),
        (("--teacher", "nowhere", "--width", "8"), "no encoder there"),
    ],
)
def test_a_width_that_cannot_be_is_refused_before_anything_is_trained(
    told: tuple[str, ...], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_encoder(tmp_path / "bert", TEXTS, SHAPE)
    rows = "\n".join(f"{text},{'lost' if 'lost' in text else 'other'}" for text in TEXTS)
    (tmp_path / "rows.csv").write_text(f"words,what\n{rows}\n", encoding="utf-8")
    train = ["train", "--task", "tickets", "--data", "rows.csv", "--text", "words", "--label", "what", "--no-mini", "--out", "pack"]
    result = CliRunner().invoke(app, [*train, *told], env={"COLUMNS": "300"})
    assert result.exit_code == 2
    assert reason in result.output
    assert not (tmp_path / "pack").exists()
