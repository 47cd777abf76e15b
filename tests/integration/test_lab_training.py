"""Training from the command line: users' tables and tasks with generated events."""

from __future__ import annotations

import csv
import gzip
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from services.lab import trees
from services.lab.examples import Example, split
from services.worker.runtime.build import Kit, build_cascade
from shared.automations.contract import Features
from shared.automations.declared import automation_of
from shared.automations.pack import MANIFEST, parse
from shared.automations.registry import automation
from shared.inference.models import Models
from tests.lab_world import DATA, INSURANCE, UTTERANCES, evaluated, lab, refusal_of


def test_training_twice_gives_the_same_bytes_and_a_pack_that_the_worker_runs(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        result = lab("train", "--task", "claims", "--n", "4000", "--seed", "3", "--out", tmp_path / folder)
        assert result.exit_code == 0, result.output
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()} for folder in ("a", "b"))
    assert first == second
    assert build_cascade(automation("claims"), Kit.read(tmp_path / "a")).tiers[1].name == "nano"


def test_training_one_task_keeps_the_packs_of_the_others(tmp_path: Path) -> None:
    for task in ("invoices", "claims"):
        assert lab("train", "--task", task, "--n", "6000", "--out", tmp_path).exit_code == 0
    assert [pack.task for pack in parse((tmp_path / MANIFEST).read_text(encoding="utf-8"))] == ["claims", "invoices"]
    for task in ("invoices", "claims"):
        gates = {gate["name"]: gate for gate in json.loads((tmp_path / f"{task}-report.json").read_text(encoding="utf-8"))["gates"]}
        assert gates["automatic decisions against a hard rule"]["value"] == 0


def test_a_users_table_becomes_a_certified_pack_with_its_report(tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    trained = lab("train", "--task", "tickets", "--data", INSURANCE / "train.tsv", *UTTERANCES, "--group", "conversationId",
                   "--person", "outofdomain", "--no-mini", "--licence", "CDLA-Permissive-1.0", "--out", pack)  # fmt: skip
    assert trained.exit_code == 0, trained.output
    figures = evaluated("--pack", pack, "--data", INSURANCE / "dev.tsv", *UTTERANCES)
    assert figures["n"] > 2_000
    assert figures["accuracy"] >= 0.92
    assert figures["macro_f1"] >= 0.85
    assert figures["levels"]["0.05"]["coverage"] > 0.7
    assert figures["levels"]["0.05"]["selective_error"] <= 0.05
    assert figures["levels"]["0.02"]["by_tier"]["nano"]["accepted"] == figures["accepted"]
    (made,) = parse((pack / MANIFEST).read_text(encoding="utf-8"))
    assert (made.person, made.training["data_licence"]) == (("outofdomain",), "CDLA-Permissive-1.0")
    page = (pack / "tickets-report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 4
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert all(gate["passed"] for gate in json.loads((pack / "tickets-report.json").read_text(encoding="utf-8"))["gates"])
    assert "Not proven" in (pack / made.card).read_text(encoding="utf-8")

    renewed = lab("certify", "--pack", pack, "--data", INSURANCE / "dev.tsv", *UTTERANCES, "--levels", "0.02,0.05")
    assert renewed.exit_code == 0, renewed.output
    (proven,) = parse((pack / MANIFEST).read_text(encoding="utf-8"))
    assert ([found.level for found in proven.certificates], proven.level) == (["0.02", "0.05"], "0.02")
    assert proven.certificates[0].data_sha256 != made.certificates[0].data_sha256
    assert all(sum(found.scores["nano"]) == found.n for found in (*made.certificates, *proven.certificates))

    against = lab("compare", pack, pack, "--data", INSURANCE / "dev.tsv", *UTTERANCES, "--json")
    assert json.loads(against.stdout)["difference"] == 0


def test_fields_without_text_are_enough(tmp_path: Path) -> None:
    rows = ["amount,kind,what"]
    rows += [
        f"{index * 7 % 1000},{'glass' if index % 3 else 'theft'},{'pay' if index * 7 % 1000 < 400 else 'ask'}" for index in range(3_000)
    ]
    (tmp_path / "rows.csv").write_text("\n".join(rows), encoding="utf-8")
    trained = lab("train", "--task", "amounts", "--data", tmp_path / "rows.csv", "--fields", "amount,kind", "--label", "what", "--no-mini",
                   "--out", tmp_path / "pack")  # fmt: skip
    assert trained.exit_code == 0, trained.output
    figures = evaluated("--pack", tmp_path / "pack", "--data", tmp_path / "rows.csv", "--fields", "amount,kind", "--label", "what")
    assert figures["accuracy"] > 0.97
    assert figures["auc"] > 0.99
    assert set(figures["tiers"]) == {"trees"}
    assert figures["levels"]["0.02"]["by_tier"]["trees"]["accepted"] > 2_000


def test_a_number_of_few_values_is_the_same_however_a_table_or_an_event_writes_it(tmp_path: Path) -> None:
    """A data frame writes integers with a fraction as soon as one is missing."""
    draws = random.Random(2)
    rows = [(draws.randrange(1, 6), draws.randrange(10_000)) for _ in range(2_400)]
    for name, mark in (("rows", ".0"), ("later", "")):
        lines = [f"{'' if number % 50 == 0 else f'{doors}{mark}'},{number},{'ask' if doors > 3 else 'pay'}" for doors, number in rows]
        (tmp_path / f"{name}.csv").write_text("\n".join(["doors,number,what", *lines]), encoding="utf-8")
    pack = tmp_path / "pack"
    named = ("--fields", "doors", "--label", "what")
    trained = lab("train", "--task", "cars", "--data", tmp_path / "rows.csv", *named, "--no-trees", "--no-mini", "--group", "number",
                  "--out", pack)  # fmt: skip
    assert trained.exit_code == 0, trained.output
    figures = [evaluated("--pack", pack, "--data", tmp_path / f"{name}.csv", *named) for name in ("rows", "later")]
    assert figures[0] == figures[1]
    assert figures[0]["accuracy"] > 0.98
    (made,) = parse((pack / MANIFEST).read_text(encoding="utf-8"))
    assert (made.numbers, dict(made.bins)) == (("doors",), {})
    # As an event may write it, too.
    automation, scorer = automation_of([made]), Models(pack).scorer(made, made.tiers[0])
    read = [automation.features(automation.data_model.model_validate({"doors": doors})) for doors in (5, 5.0)]
    scores = scorer.probabilities([features for features in read if features is not None])
    assert scores[0].tolist() == scores[1].tolist() != scorer.probabilities([Features("", {"doors": "no number"})])[0].tolist()
    with pytest.raises(ValidationError):
        automation.data_model.model_validate({"doors": "five"})


def test_trees_over_fields_and_a_linear_model_over_text_are_one_certified_cascade(tmp_path: Path) -> None:
    draws = random.Random(3)
    rows = ["words,amount,what"]
    for index in range(2_000):
        amount, is_urgent = draws.randrange(1_000), draws.random() < 0.5
        signs = is_urgent + (300 < amount < 800)
        label = "ask" if draws.random() < (0.005, 0.5, 0.995)[signs] else "pay"
        rows.append(f"{'please hurry' if is_urgent else 'no haste'} {index},{amount},{label}")
    (tmp_path / "rows.csv").write_text("\n".join(rows), encoding="utf-8")
    trained = lab("train", "--task", "both", "--data", tmp_path / "rows.csv", "--text", "words", "--fields", "amount", "--label", "what",
                   "--no-mini", "--out", tmp_path / "pack")  # fmt: skip
    assert trained.exit_code == 0, trained.output
    (pack,) = parse((tmp_path / "pack" / MANIFEST).read_text(encoding="utf-8"))
    assert [tier.kind for tier in pack.tiers] == ["linear", "trees"]
    assert (list(pack.bins), list(pack.tiers[1].columns)) == (["amount"], ["amount"])
    assert pack.report["tiers"]["trees"]["auc"] > 0.83
    assert pack.certificates[-1].accepted > 100
    assert set(pack.tiers[1].mix) <= {"nano", "trees"}


FRAUD = DATA / "fraud-oracle/fraud_oracle_1994_1995.csv.gz"


# Row order, the year itself and the label tell what nobody knows beforehand.
NO_FIELDS = ("FraudFound_P", "PolicyNumber", "Year")


@pytest.mark.slow
def test_frauds_of_the_next_year_are_ranked_as_well_as_by_another_library_that_was_tuned_beside(tmp_path: Path) -> None:
    """The pack keeps a quarter of the first year for tuning and proof; scikit-learn's trees are tuned and trained on all of it."""
    with gzip.open(FRAUD, "rt", encoding="utf-8-sig") as file:
        claims = list(csv.DictReader(file))
    fields = [name for name in claims[0] if name not in NO_FIELDS]
    years = {year: [claim for claim in claims if claim["Year"] == year] for year in ("1994", "1995")}
    for year, found in years.items():
        with (tmp_path / f"{year}.csv").open("w", encoding="utf-8", newline="") as file:
            written = csv.DictWriter(file, claims[0])
            written.writeheader()
            written.writerows(found)
    named = ("--fields", ",".join(fields), "--label", "FraudFound_P")
    trained = lab("train", "--task", "fraud", "--data", tmp_path / "1994.csv", *named, "--person", "1", "--out", tmp_path / "pack")
    assert trained.exit_code == 0, trained.output
    figures = evaluated("--pack", tmp_path / "pack", "--data", tmp_path / "1995.csv", *named)
    beside = _beside(years["1994"], years["1995"], fields)
    assert figures["auc"] >= beside - 0.005, beside
    assert figures["auc"] > 0.74


def _beside(first: Sequence[Mapping[str, str]], later: Sequence[Mapping[str, str]], fields: Sequence[str]) -> float:
    known = trees.columns([Example(Features(fields={name: claim[name] for name in fields}), "", "") for claim in first])
    inputs, targets = [], []
    for claims in (first, later):
        inputs.append(trees.matrix([Example(Features(fields={name: claim[name] for name in fields}), "", "") for claim in claims], known))
        targets.append([claim["FraudFound_P"] == "1" for claim in claims])
    model = HistGradientBoostingClassifier(learning_rate=0.05, early_stopping=False, random_state=0)
    tuned = GridSearchCV(model, {"max_leaf_nodes": [4, 8], "max_iter": [50, 100, 200]}, scoring="roc_auc", cv=3)
    with threadpool_limits(limits=1):
        tuned.fit(inputs[0], targets[0])
    return float(roc_auc_score(targets[1], tuned.predict_proba(inputs[1])[:, 1]))


def test_labels_that_cannot_be_told_are_not_published(tmp_path: Path) -> None:
    rows = ["words,what", *(f"the same words {index},{'yes' if index % 3 else 'no'}" for index in range(900))]
    (tmp_path / "rows.csv").write_text("\n".join(rows), encoding="utf-8")
    result = lab("train", "--task", "noise", "--data", tmp_path / "rows.csv", "--text", "words", "--label", "what", "--no-mini",
                  "--out", tmp_path / "pack")  # fmt: skip
    assert result.exit_code == 3, result.output
    assert "not published" in result.output
    assert not (tmp_path / "pack" / MANIFEST).exists()
    assert (tmp_path / "pack/noise-report.json").is_file()


def test_what_trees_need_is_said(tickets: Path, tmp_path: Path) -> None:
    train = ("train", "--task", "tickets", "--data", tickets / "rows.csv", "--label", "team", "--no-mini", "--out", tmp_path / "pack")
    assert "name their columns with --text or --fields" in refusal_of(*train)
    assert "name their columns with --fields" in refusal_of(*train, "--text", "words", "--trees")
    rows = [f"{index},{'ab'[index % 2]},g,{('train', 'train', 'tune', 'certify')[index // 2 % 4]}" for index in range(400)]
    (tmp_path / "rows.csv").write_text("\n".join(["amount,team,all,part", *rows]), encoding="utf-8")
    named = ("--fields", "amount", "--label", "team", "--group", "all", "--part", "part")
    one = refusal_of("train", "--task", "one", "--data", tmp_path / "rows.csv", *named, "--no-mini", "--out", tmp_path / "one")
    assert "too few groups" in one


def test_near_copies_are_in_one_split() -> None:
    first, second = (Example(Features(text), "x", text[:80]) for text in ("a" * 100, "a" * 90 + "b" * 10))
    assert split(first) == split(second)
