"""What is shipped is what the lab would train, keeps its figures, and stays as it is."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from services.lab import examples
from services.lab.examples import Example, group_of, split
from services.worker.runtime.build import SHIPPED
from services.worker.runtime.pack import load
from shared.automations.contract import Features
from shared.automations.pack import MANIFEST
from tests.lab_world import CFPB, DATA, TICKETS, evaluated, lab, refusal_of


@pytest.mark.slow
def test_the_shipped_nano_of_complaints_is_what_the_lab_trains(tmp_path: Path) -> None:
    """The large tier takes most of an hour; `test_runtime_packs` holds its file to the digest of the manifest."""
    result = lab("train", "--task", "complaints", "--data", CFPB, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    trained, shipped = load(tmp_path)["complaints"], load(SHIPPED)["complaints"]
    assert trained.training["data_sha256"] == shipped.training["data_sha256"]
    # Bytes are equal on one machine; another processor may round a weight the other way.
    assert trained.report["accuracy"] == pytest.approx(shipped.report["tiers"]["nano"]["accuracy"], abs=0.005)
    assert trained.report["accuracy"] >= 0.83


def test_the_shipped_complaints_pack_keeps_its_figures_on_complaints_that_it_has_not_seen(tmp_path: Path) -> None:
    """The certification part, in the publisher's columns, with one product that the pack does not know."""
    rows = [row for row in examples.rows(CFPB) if split(Example(Features(), "", group_of(row["narrative"]))) == "certify"]
    judged = [row for row in rows if row["product"] != "other"]
    stranger = {**judged[0], "product": "other"}
    with (tmp_path / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(stranger))
        table.writeheader()
        table.writerows([*judged, stranger])
    figures = evaluated("--pack", "complaints", "--data", tmp_path / "rows.csv", "--text", "narrative", "--label", "product")
    assert (figures["n"], figures["dropped"]) == (len(judged), 1)
    assert set(figures["labels"]) == set(load(SHIPPED)["complaints"].labels)
    assert figures["accuracy"] >= 0.833
    assert figures["macro_f1"] >= 0.72
    # Accuracies of 744 answers do not tell the two apart; rare products and the probabilities do.
    nano, large = (figures["tiers"][name] for name in ("nano", "large"))
    assert large["macro_f1"] > nano["macro_f1"] + 0.05
    assert large["brier"] < nano["brier"] - 0.01
    assert figures["selective_error"] <= 0.1


@pytest.mark.parametrize(("task", "accuracy", "error"), [("claims", 0.95, 0.03), ("complaints", 0.9, 0.05), ("invoices", 0.95, 0.03)])
def test_shipped_packs_hold_on_fresh_synthetic_events(tmp_path: Path, task: str, accuracy: float, error: float) -> None:
    events = tmp_path / "events.jsonl"
    assert lab("synth", "--task", task, "--n", "600", "--seed", "77", "--out", events).exit_code == 0
    assert len(events.read_text(encoding="utf-8").splitlines()) == 600
    figures = evaluated("--pack", task, "--data", events)
    assert figures["accuracy"] >= accuracy
    assert figures["selective_error"] <= error
    assert figures["coverage"] >= 0.7


def test_a_shipped_pack_of_intents_is_found_by_its_name_and_keeps_its_figures_on_texts_that_it_has_not_seen(tmp_path: Path) -> None:
    """Every third text of the publisher's validation part, on which nothing was trained."""
    found = json.loads((DATA / "clinc150/train_val.json").read_text(encoding="utf-8"))
    rows = [{"text": text, "intent": label} for name in ("val", "oos_val") for text, label in found[name][::3]]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    figures = evaluated("--pack", "intents-clinc150", "--data", tmp_path / "rows.jsonl", "--text", "text", "--label", "intent")
    assert figures["in_scope_accuracy"] >= 0.95
    assert figures["oos_recall"] >= 0.55
    nano, mini, large = (figures["tiers"][name] for name in ("nano", "mini", "large"))
    assert large["accuracy"] > mini["accuracy"] > nano["accuracy"] > 0.89
    # Within a point of its teacher.
    assert mini["alone_accuracy"] > large["alone_accuracy"] - 0.01
    assert figures["levels"]["0.02"]["coverage"] >= 0.83
    assert figures["levels"]["0.02"]["selective_error"] <= 0.03


def test_shipped_packs_are_not_certified_where_they_lie(tickets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(SHIPPED, tmp_path / "models")
    monkeypatch.setattr("services.lab.main._SHIPPED", tmp_path / "models")
    before = (tmp_path / "models" / MANIFEST).read_bytes()
    for name in ("invoices", "intents-banking77", tmp_path / "models"):
        refusal = refusal_of("certify", "--pack", name, "--data", tickets / "rows.csv", *TICKETS)
        assert "certify needs a folder with a pack of your own" in refusal
    assert (tmp_path / "models" / MANIFEST).read_bytes() == before
