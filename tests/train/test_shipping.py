"""The packs of intents, made as the shipped ones are, from a handful of made-up sentences in the layout of the public sets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.lab.files import name_of
from services.lab.main import app
from services.lab.shipping import ENCODER, TOKENIZER
from shared.automations.pack import MANIFEST, parse
from shared.inference.session import opened

NAMES = ("intents-banking77", "intents-clinc150", "intents-insurance")
WORDS = {"pay": "please pay the bill of the shop", "lose": "my card was lost on the train", "oos": "how tall is the highest mountain"}


def _sentences(label: str, count: int, start: int = 0) -> list[str]:
    return [f"{WORDS[label]} {index * 7919 % 1000}" for index in range(start, start + count)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    insurance = folder / "multidogo/sentence_level/insurance"
    for place in (folder / "banking77", folder / "clinc150", insurance):
        place.mkdir(parents=True)
    rows = [f"{text},{label}" for label in ("pay", "lose") for text in _sentences(label, 150)]
    (folder / "banking77/train.csv").write_text("\n".join(["text,category", *rows]), encoding="utf-8")
    parts = {"train": ("pay", "lose"), "oos_train": ("oos",), "val": ("pay", "lose"), "oos_val": ("oos",)}
    clinc = {
        name: [[text, label] for label in labels for text in (_sentences(label, 60, 500) if "val" in name else _sentences(label, 40))]
        for name, labels in parts.items()
    }
    (folder / "clinc150/train_val.json").write_text(json.dumps(clinc), encoding="utf-8")
    for file, count, start in (("train", 40, 0), ("dev", 60, 500)):
        turns = [(text, label) for label in ("pay", "lose") for text in _sentences(label, count, start)]
        lines = [f"{start + number}\t{text}\t{label}" for number, (text, label) in enumerate([*turns, ("two at once", "pay<div>lose")])]
        (insurance / f"{file}.tsv").write_text("\n".join(["conversationId\tutterance\tintent", *lines]), encoding="utf-8")
    return folder


def test_three_packs_share_one_encoder_with_a_head_for_each_and_only_those_that_pass_their_gates_are_published(
    data: Path, tmp_path: Path
) -> None:
    result = CliRunner().invoke(app, ["ship", "--data", str(data), "--out", str(tmp_path / "out")])
    reports = {name: json.loads((tmp_path / "out" / f"{name}-report.json").read_text(encoding="utf-8")) for name in NAMES}
    passed = [name for name, report in reports.items() if all(gate["passed"] for gate in report["gates"])]
    # So few labels prove something for one of them only.
    assert passed == ["intents-insurance"]
    assert result.exit_code == 3, result.output
    packs = parse((tmp_path / "out" / MANIFEST).read_text(encoding="utf-8"))
    assert [pack.name for pack in packs] == passed
    (large,) = (tier for tier in packs[0].tiers if tier.name == "large")
    (graph_file,), tokenizer = large.artefacts, large.tokenizer
    assert tokenizer is not None
    assert (graph_file.file, tokenizer.file) == (name_of(ENCODER, graph_file.sha256), name_of(TOKENIZER, tokenizer.sha256))
    assert large.quantised["any"]["judged"] > 0
    assert sum(gate["name"].startswith("labels that int8 changes in") for gate in reports["intents-insurance"]["gates"]) == 2
    graph = opened((tmp_path / "out" / graph_file.file).read_bytes())
    assert [found.name for found in graph.get_outputs()] == [f"probabilities_{name.replace('-', '_')}" for name in NAMES]
    for report in reports.values():
        assert report["accuracy"] > 0.9
        assert report["tiers"].keys() - {"mini"} == {"nano", "large"}
    assert [name for name, report in reports.items() if "mini" in report["tiers"]] == ["intents-clinc150", "intents-insurance"]
    named = {**{name: f"{name}.md" for name in NAMES}, packs[0].name: packs[0].card}
    cards = {name: (tmp_path / "out" / card).read_text(encoding="utf-8") for name, card in named.items()}
    assert [name for name, card in cards.items() if "taught by the encoder and a linear nano" in card] == [NAMES[2]]
