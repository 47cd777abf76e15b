"""What needs torch: training small encoders. `make test-train` runs it; `make test` does not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from services.lab import bert, encoder
from services.lab.bert import Shape
from services.lab.encoder import Material, Network, Schedule
from services.lab.examples import Example, Source
from services.lab.plan import Plan
from services.lab.teacher import MINILM, folder_of, load
from services.lab.training import train
from services.lab.wordpiece import encoded
from shared.automations.contract import Features
from shared.inference.session import opened

SHAPE = Shape(layers=1, width=32, heads=2, units=48)


def _network(seed: int = 0) -> Network:
    return encoder.small(SHAPE, vocabulary=40, max_tokens=16, classes={"a": 2, "b": 3}, seed=seed)


def _materials() -> dict[str, Material]:
    """Two tasks that one word decides."""
    draws = np.random.default_rng(0)
    found = {}
    for name, classes in (("a", 2), ("b", 3)):
        targets = draws.integers(0, classes, 300)
        documents = [[1, *draws.integers(10, 40, draws.integers(1, 9)).tolist(), 4 + int(target), 2] for target in targets]
        found[name] = Material(documents, targets, classes)
    return found


SCHEDULE = Schedule(epochs=3, rate=3e-3, seed=1, tokens=256, head_factor=2.0, frozen=False)


def test_an_encoder_learns_several_tasks_at_once_and_its_graph_says_what_torch_says(tmp_path: Path) -> None:
    network, materials = _network(), _materials()
    shares: list[float] = []
    encoder.fit(network, materials, SCHEDULE, tmp_path / "c.pt", shares.append)
    assert shares[-1] == pytest.approx(1.0)
    assert shares == sorted(shares)
    assert network.weights["encoder.layer.0.intermediate.dense.bias"].shape == (SHAPE.units,)
    graph = opened(bert.to_onnx(network.weights, network.shape, {name: network.head(name) for name in materials}))
    for name, material in materials.items():
        answers = [np.asarray(graph.run([name], {bert.INPUT: np.array([ids])})[0])[0] for ids in material.documents]
        assert np.mean(np.argmax(answers, axis=1) == material.targets) > 0.8
        with torch.inference_mode():
            hidden = network.encoder(input_ids=torch.tensor([material.documents[0]])).last_hidden_state.mean(1)
            expected = torch.softmax(network.heads[name](hidden), dim=1).numpy()[0]
        np.testing.assert_allclose(answers[0], expected, atol=1e-5)


def test_a_broken_run_goes_on_to_the_weights_of_an_unbroken_one(tmp_path: Path) -> None:
    whole, broken, again = _network(), _network(), _network()
    encoder.fit(whole, _materials(), SCHEDULE, tmp_path / "whole.pt")

    def stop(share: float) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encoder.fit(broken, _materials(), SCHEDULE, tmp_path / "broken.pt", stop)
    shares: list[float] = []
    encoder.fit(again, _materials(), SCHEDULE, tmp_path / "broken.pt", shares.append)
    assert min(shares) > 1 / 3
    for name, values in whole.weights.items():
        np.testing.assert_array_equal(values, again.weights[name], err_msg=name)


COMMON = {"the", "card", "was", "lost", "pay", "back", "loan", "open", "an", "account", "number"}


def _examples() -> list[Example]:
    words = ("the card was lost", "pay back the loan", "open an account")
    rows = [(f"{words[index % 3]} number {index * 7919 % 1000}", ("card", "loan", "account")[index % 3]) for index in range(1_500)]
    return [Example(Features(text), label, f"{index}") for index, (text, label) in enumerate(rows)]


def _plan(labels: tuple[str, ...]) -> Plan:
    return Plan(name="x", task="x", labels=labels, source=Source("x", "x", "x"), mini=True, epochs=2, max_tokens=16, buckets=1 << 12)


def test_training_a_mini_twice_gives_the_same_bytes_and_certificates_for_each_processor(tmp_path: Path) -> None:
    packs = [
        train(_plan(("account", "card", "loan")), _examples(), tmp_path / folder, lambda _name, _total: lambda: None)
        for folder in ("a", "b")
    ]
    assert packs[0] == packs[1]
    pack = packs[0]
    assert {found.variant for found in pack.certificates} == {"vnni", "portable"}
    assert [tier.name for tier in pack.tiers] == ["nano", "mini"]
    assert all((tmp_path / "a" / name).is_file() for name in pack.files)
    assert pack.report["tiers"]["mini"]["accuracy"] > 0.95


def test_a_teacher_of_fewer_layers_units_and_pieces_learns_the_task_and_becomes_a_smaller_tier(tmp_path: Path) -> None:
    plan = replace(
        _plan(("account", "card", "loan")), mini=False, teacher=MINILM, finetune=1, layers=1, width=384, rare=100, variants=False
    )
    pack = train(plan, _examples()[:600], tmp_path, lambda _name, _total: lambda: None)
    nano, large = pack.tiers
    pieces = json.loads((tmp_path / "x-large-tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    assert {"lost", "card"} <= set(pieces)
    assert all(len(piece.removeprefix("##")) == 1 or piece.startswith("[") for piece in set(pieces) - COMMON)
    # Of attention four squares, of the feed-forward part twice the units; all of them would be twelve squares.
    words, layer, places = len(pieces) * 384, 6 * 384 * 384, 4 * 512 * 384
    assert words + layer + places < large.artefacts[0].bytes < 1.1 * (words + layer + places)
    assert (nano.name, large.name) == ("nano", "large")
    assert pack.report["tiers"]["large"]["alone_accuracy"] > 0.9
    assert (pack.training["teacher_layers"], pack.training["teacher_feed_forward_units"]) == (1, 384)


def test_a_narrower_teacher_goes_into_torch_as_it_is_written_into_a_graph() -> None:
    texts = [example.features.text for example in _examples()[:200]]
    teacher = load(MINILM, texts, 16, layers=2, width=200)
    network = encoder.pretrained(folder_of(MINILM), {"x": 2}, seed=0, layers=2)
    encoder.narrow(network, teacher.weights)
    assert network.encoder.config.intermediate_size == network.shape.units == teacher.shape.units == 200
    ids = encoded(teacher.tokenizer, texts[:1])[0]
    graph = opened(bert.to_onnx(teacher.weights, teacher.shape, {}))
    with torch.inference_mode():
        expected = network.encoder(input_ids=torch.tensor(teacher.kept[ids][None])).last_hidden_state.mean(1).numpy()
    np.testing.assert_allclose(graph.run(None, {bert.INPUT: np.array([ids], dtype=np.int64)})[0], expected, atol=1e-4)


def test_minilm_is_the_file_that_was_checked() -> None:
    assert (folder_of(MINILM) / "model.safetensors").is_file()
