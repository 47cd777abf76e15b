"""The lab from its command line: synthesise, train, evaluate; and that what is shipped is what it would train."""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits
from typer.testing import CliRunner, Result

from services.lab import certify, examples, manifest, training, trees
from services.lab.columns import Columns, labelled
from services.lab.examples import Example, group_of, split
from services.lab.main import app
from services.lab.publishing import Published, StillNeeded, publish
from services.worker.runtime.build import SHIPPED, Kit, build_cascade
from services.worker.runtime.pack import load
from shared.automations.contract import Features
from shared.automations.pack import MANIFEST, parse, render
from shared.automations.registry import automation
from shared.errors import InvariantBroken

DATA = Path(os.environ.get("RECOUP_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))  # noqa: TID251 - where public data are is the machine's
CFPB = DATA / "cfpb-narratives/narratives_train.csv.gz"


def _lab(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def _figures(*arguments: str | Path) -> dict[str, Any]:
    result = _lab("evaluate", *arguments, "--json")
    assert result.exit_code == 0, result.output
    figures: dict[str, Any] = json.loads(result.stdout)
    return figures


def test_training_twice_gives_the_same_bytes_and_a_pack_that_the_worker_runs(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        result = _lab("train", "--task", "claims", "--n", "4000", "--seed", "3", "--out", tmp_path / folder)
        assert result.exit_code == 0, result.output
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()} for folder in ("a", "b"))
    assert first == second
    assert build_cascade(automation("claims"), Kit.read(tmp_path / "a")).tiers[1].name == "nano"


def test_training_one_task_keeps_the_packs_of_the_others(tmp_path: Path) -> None:
    for task in ("invoices", "claims"):
        assert _lab("train", "--task", task, "--n", "6000", "--out", tmp_path).exit_code == 0
    assert [pack.task for pack in parse((tmp_path / MANIFEST).read_text(encoding="utf-8"))] == ["claims", "invoices"]
    for task in ("invoices", "claims"):
        gates = {gate["name"]: gate for gate in json.loads((tmp_path / f"{task}-report.json").read_text(encoding="utf-8"))["gates"]}
        assert gates["automatic decisions against a hard rule"]["value"] == 0


@pytest.mark.slow
def test_the_shipped_nano_of_complaints_is_what_the_lab_trains(tmp_path: Path) -> None:
    """The large tier takes most of an hour; `test_runtime_packs` holds its file to the digest of the manifest."""
    result = _lab("train", "--task", "complaints", "--data", CFPB, "--out", tmp_path)
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
    figures = _figures("--pack", "complaints", "--data", tmp_path / "rows.csv", "--text", "narrative", "--label", "product")
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
    assert _lab("synth", "--task", task, "--n", "600", "--seed", "77", "--out", events).exit_code == 0
    assert len(events.read_text(encoding="utf-8").splitlines()) == 600
    figures = _figures("--pack", task, "--data", events)
    assert figures["accuracy"] >= accuracy
    assert figures["selective_error"] <= error
    assert figures["coverage"] >= 0.7


INSURANCE = DATA / "multidogo/sentence_level/insurance"
UTTERANCES = ("--text", "utterance", "--label", "intent")


def test_a_users_table_becomes_a_certified_pack_with_its_report(tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    trained = _lab("train", "--task", "tickets", "--data", INSURANCE / "train.tsv", *UTTERANCES, "--group", "conversationId",
                   "--person", "outofdomain", "--no-mini", "--licence", "CDLA-Permissive-1.0", "--out", pack)  # fmt: skip
    assert trained.exit_code == 0, trained.output
    figures = _figures("--pack", pack, "--data", INSURANCE / "dev.tsv", *UTTERANCES)
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

    renewed = _lab("certify", "--pack", pack, "--data", INSURANCE / "dev.tsv", *UTTERANCES, "--levels", "0.02,0.05")
    assert renewed.exit_code == 0, renewed.output
    (proven,) = parse((pack / MANIFEST).read_text(encoding="utf-8"))
    assert ([found.level for found in proven.certificates], proven.level) == (["0.02", "0.05"], "0.02")
    assert proven.certificates[0].data_sha256 != made.certificates[0].data_sha256
    assert all(sum(found.scores["nano"]) == found.n for found in (*made.certificates, *proven.certificates))

    against = _lab("compare", pack, pack, "--data", INSURANCE / "dev.tsv", *UTTERANCES, "--json")
    assert json.loads(against.stdout)["difference"] == 0


def test_cases_of_labels_too_rare_to_learn_count_as_errors_in_every_certificate(tmp_path: Path) -> None:
    """One case in five is of a label with nine cases, and looks like those of a frequent one."""
    draws, words = random.Random(5), {"card": "my card is lost", "loan": "a loan please"}
    labels = [draws.choice(list(words)) for _ in range(1_600)] + [f"rare {index // 9}" for index in range(396)]
    rows = [f"{index} {draws.randrange(1_000)} {words.get(label, words['card'])},{label}" for index, label in enumerate(labels)]
    for name, part in (("old", rows[::2]), ("new", rows[1::2]), ("plain", rows[:1_600])):
        (tmp_path / f"{name}.csv").write_text("\n".join(["words,what", *part]), encoding="utf-8")
    named = ("--text", "words", "--label", "what")
    trained = _lab("train", "--task", "tickets", "--data", tmp_path / "old.csv", *named, "--no-mini", "--out", tmp_path / "first")
    # Nothing can be proven of it, and so it is not published.
    assert trained.exit_code == 3, trained.output
    report = json.loads((tmp_path / "first/tickets-report.json").read_text(encoding="utf-8"))
    assert (report["accuracy"], report["levels"]["0.05"]["accepted"]) == (1.0, 0)
    assert report["levels"]["0.05"]["n"] == report["n_certify"] + report["n_of_rare_labels"]

    pack = tmp_path / "second"
    assert _lab("train", "--task", "tickets", "--data", tmp_path / "plain.csv", *named, "--no-mini", "--out", pack).exit_code == 0
    figures = _figures("--pack", pack, "--data", tmp_path / "new.csv", *named)
    assert (figures["n"], figures["dropped"], figures["accuracy"]) == (800, 198, 1.0)
    assert figures["levels"]["0.05"]["errors"] == 198
    assert _lab("certify", "--pack", pack, "--data", tmp_path / "new.csv", *named).exit_code == 0
    (proven,) = parse((pack / MANIFEST).read_text(encoding="utf-8"))
    assert [found.accepted for found in proven.certificates] == [0, 0, 0]


def test_fields_without_text_are_enough(tmp_path: Path) -> None:
    rows = ["amount,kind,what"]
    rows += [
        f"{index * 7 % 1000},{'glass' if index % 3 else 'theft'},{'pay' if index * 7 % 1000 < 400 else 'ask'}" for index in range(3_000)
    ]
    (tmp_path / "rows.csv").write_text("\n".join(rows), encoding="utf-8")
    trained = _lab("train", "--task", "amounts", "--data", tmp_path / "rows.csv", "--fields", "amount,kind", "--label", "what", "--no-mini",
                   "--out", tmp_path / "pack")  # fmt: skip
    assert trained.exit_code == 0, trained.output
    figures = _figures("--pack", tmp_path / "pack", "--data", tmp_path / "rows.csv", "--fields", "amount,kind", "--label", "what")
    assert figures["accuracy"] > 0.97
    assert figures["auc"] > 0.99
    assert set(figures["tiers"]) == {"trees"}
    assert figures["levels"]["0.02"]["by_tier"]["trees"]["accepted"] > 2_000


def test_trees_over_fields_and_a_linear_model_over_text_are_one_certified_cascade(tmp_path: Path) -> None:
    draws = random.Random(3)
    rows = ["words,amount,what"]
    for index in range(2_000):
        amount, is_urgent = draws.randrange(1_000), draws.random() < 0.5
        signs = is_urgent + (300 < amount < 800)
        label = "ask" if draws.random() < (0.005, 0.5, 0.995)[signs] else "pay"
        rows.append(f"{'please hurry' if is_urgent else 'no haste'} {index},{amount},{label}")
    (tmp_path / "rows.csv").write_text("\n".join(rows), encoding="utf-8")
    trained = _lab("train", "--task", "both", "--data", tmp_path / "rows.csv", "--text", "words", "--fields", "amount", "--label", "what",
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
    trained = _lab("train", "--task", "fraud", "--data", tmp_path / "1994.csv", *named, "--person", "1", "--out", tmp_path / "pack")
    assert trained.exit_code == 0, trained.output
    figures = _figures("--pack", tmp_path / "pack", "--data", tmp_path / "1995.csv", *named)
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
    result = _lab("train", "--task", "noise", "--data", tmp_path / "rows.csv", "--text", "words", "--label", "what", "--no-mini",
                  "--out", tmp_path / "pack")  # fmt: skip
    assert result.exit_code == 3, result.output
    assert "not published" in result.output
    assert not (tmp_path / "pack" / MANIFEST).exists()
    assert (tmp_path / "pack/noise-report.json").is_file()


def test_a_shipped_pack_of_intents_is_found_by_its_name_and_keeps_its_figures_on_texts_that_it_has_not_seen(tmp_path: Path) -> None:
    """Every third text of the publisher's validation part, on which nothing was trained."""
    found = json.loads((DATA / "clinc150/train_val.json").read_text(encoding="utf-8"))
    rows = [{"text": text, "intent": label} for name in ("val", "oos_val") for text, label in found[name][::3]]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    figures = _figures("--pack", "intents-clinc150", "--data", tmp_path / "rows.jsonl", "--text", "text", "--label", "intent")
    assert figures["in_scope_accuracy"] >= 0.95
    assert figures["oos_recall"] >= 0.55
    nano, mini, large = (figures["tiers"][name] for name in ("nano", "mini", "large"))
    assert large["accuracy"] > mini["accuracy"] > nano["accuracy"] > 0.89
    # Within a point of its teacher.
    assert mini["alone_accuracy"] > large["alone_accuracy"] - 0.01
    assert figures["levels"]["0.02"]["coverage"] >= 0.83
    assert figures["levels"]["0.02"]["selective_error"] <= 0.03


def test_a_folder_with_one_pack_can_be_evaluated(tmp_path: Path) -> None:
    assert _lab("train", "--task", "claims", "--n", "6000", "--out", tmp_path / "pack").exit_code == 0
    data = tmp_path / "few.csv"
    data.write_text(
        "words,right\nthe windscreen is broken and the receipt is enclosed,fast_track_pay\nno such label,unheard\n", encoding="utf-8"
    )
    figures = _figures("--pack", tmp_path / "pack", "--data", data, "--text", "words", "--label", "right")
    assert (figures["n"], figures["dropped"]) == (1, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--task", "tea", "--out", "x"),
        ("train", "--task", "Tea", "--data", CFPB, "--text", "narrative", "--label", "product", "--out", "x"),
        ("train", "--task", "complaints", "--data", CFPB, "--text", "narrative", "--label", "state", "--out", "x"),
        ("train", "--task", "claims", "--data", CFPB, "--out", "x"),
        ("train", "--task", "tea", "--text", "narrative", "--out", "x"),
        ("synth", "--task", "tea", "--out", "x"),
        ("evaluate", "--pack", "none", "--data", CFPB, "--text", "narrative"),
        ("evaluate", "--pack", "complaints", "--data", CFPB, "--text", "no such column"),
        ("evaluate", "--pack", "claims", "--data", CFPB),
    ],
)
def test_wrong_arguments_are_explained_and_write_nothing(
    arguments: tuple[str | Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = tuple(argument.absolute() if isinstance(argument, Path) else argument for argument in arguments)
    monkeypatch.chdir(tmp_path)
    result = _lab(*arguments)
    assert result.exit_code == 2
    assert "Error" in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def tickets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of two labels that are easily told, and the pack that was made of it."""
    draws, folder = random.Random(5), tmp_path_factory.mktemp("tickets")
    words = {
        "pay": ["bill", "invoice", "amount", "transfer", "payment", "owe"],
        "lose": ["card", "lost", "stolen", "wallet", "missing", "blocked"],
    }
    texts = [(label, " ".join(draws.choices(words[label], k=4))) for label in ("pay", "lose") * 1_200]
    rows = [f"{index * 7_919 % 9_973} {text} please,{label}" for index, (label, text) in enumerate(texts)]
    (folder / "rows.csv").write_text("\n".join(["words,team", *rows]), encoding="utf-8")
    trained = _lab("train", "--task", "tickets", "--data", folder / "rows.csv", *TICKETS, "--no-mini", "--out", folder / "pack")
    assert trained.exit_code == 0, trained.output
    return folder


TICKETS = ("--text", "words", "--label", "team")


def _refusal(*arguments: str | Path) -> str:
    """What a command says before it ends with status 2, in one line."""
    result = _lab(*arguments)
    assert result.exit_code == 2, result.output
    return " ".join(result.output.replace("│", " ").split())


def test_shipped_packs_are_not_certified_where_they_lie(tickets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(SHIPPED, tmp_path / "models")
    monkeypatch.setattr("services.lab.main._SHIPPED", tmp_path / "models")
    before = (tmp_path / "models" / MANIFEST).read_bytes()
    for name in ("invoices", "intents-banking77", tmp_path / "models"):
        refusal = _refusal("certify", "--pack", name, "--data", tickets / "rows.csv", *TICKETS)
        assert "certify needs a folder with a pack of your own" in refusal
    assert (tmp_path / "models" / MANIFEST).read_bytes() == before


def test_a_pack_that_is_certified_anew_leaves_the_others_of_its_folder(tickets: Path, tmp_path: Path) -> None:
    shutil.copytree(tickets / "pack", tmp_path, dirs_exist_ok=True)
    (pack,) = parse((tmp_path / MANIFEST).read_text(encoding="utf-8"))
    others = [replace(pack, name="other"), replace(pack, version="1.0.0")]
    (tmp_path / MANIFEST).write_text(render([*others, pack]), encoding="utf-8")
    fresh = list(labelled(tickets / "rows.csv", Columns(text="words", label="team")))
    made = training.recertified(pack, tmp_path, fresh, ["0.02"])
    kept = parse((tmp_path / MANIFEST).read_text(encoding="utf-8"))
    assert len(kept) == 3
    assert all(found in kept for found in (*others, made))


@pytest.mark.parametrize("level", ["5", "1", "0", "-1", "nan", "inf", "abc", "5%", ""])
def test_a_promise_that_is_no_share_is_refused_before_anything_is_trained(tickets: Path, tmp_path: Path, level: str) -> None:
    (before,) = parse((tickets / "pack" / MANIFEST).read_text(encoding="utf-8"))
    data = ("--data", tickets / "rows.csv", *TICKETS)
    for refusal in (
        _refusal("train", "--task", "tickets", *data, "--no-mini", f"--level={level}", "--out", tmp_path / "pack"),
        _refusal("certify", "--pack", tickets / "pack", *data, f"--levels={level}"),
    ):
        assert "A level is a share between 0 and 1" in refusal
    assert not (tmp_path / "pack").exists()
    assert parse((tickets / "pack" / MANIFEST).read_text(encoding="utf-8")) == (before,)


def test_a_share_has_one_name_however_it_is_written(tickets: Path, tmp_path: Path) -> None:
    data = ("--data", tickets / "rows.csv", *TICKETS)
    trained = _lab("train", "--task", "tickets", *data, "--no-mini", "--level", "0.0200", "--out", tmp_path)
    assert trained.exit_code == 0, trained.output
    (pack,) = parse((tmp_path / MANIFEST).read_text(encoding="utf-8"))
    assert (pack.level, [found.level for found in pack.certificates]) == ("0.02", ["0.01", "0.02", "0.05"])
    assert _lab("certify", "--pack", tmp_path, *data, "--levels", ".050, 2e-2,0.02").exit_code == 0
    (proven,) = parse((tmp_path / MANIFEST).read_text(encoding="utf-8"))
    assert (proven.level, [found.level for found in proven.certificates]) == ("0.02", ["0.02", "0.05"])


def test_a_pack_that_is_certified_anew_keeps_its_own_level(tickets: Path, tmp_path: Path) -> None:
    data = ("--data", tickets / "rows.csv", *TICKETS)
    trained = _lab("train", "--task", "tickets", *data, "--no-mini", "--level", "0.08", "--out", tmp_path)
    assert trained.exit_code == 0, trained.output
    for levels in ((), ("--levels", "0.08,0.05,0.02,0.01")):
        assert _lab("certify", "--pack", tmp_path, *data, *levels).exit_code == 0
        (proven,) = parse((tmp_path / MANIFEST).read_text(encoding="utf-8"))
        assert (proven.level, [found.level for found in proven.certificates]) == ("0.08", ["0.01", "0.02", "0.05", "0.08"])
    assert "The levels leave out the pack's own" in _refusal("certify", "--pack", tmp_path, *data, "--levels", "0.01,0.05")
    assert parse((tmp_path / MANIFEST).read_text(encoding="utf-8")) == (proven,)


def test_a_manifest_that_nobody_could_read_is_not_written(tickets: Path, tmp_path: Path) -> None:
    (pack,) = parse((tickets / "pack" / MANIFEST).read_text(encoding="utf-8"))
    manifest.write(tmp_path, [pack])
    with pytest.raises(InvariantBroken):
        manifest.write(tmp_path, [pack, replace(pack, labels=("twice", "twice"))])
    assert parse((tmp_path / MANIFEST).read_text(encoding="utf-8")) == (pack,)


def test_rows_without_a_known_label_cannot_be_judged(tickets: Path, tmp_path: Path) -> None:
    for name, labels in (("strange", ("unheard", "of")), ("blank", ("", "")), ("mixed", ("pay", "unheard"))):
        (tmp_path / f"{name}.csv").write_text(f"words,team\nmy card,{labels[0]}\na bill,{labels[1]}\n", encoding="utf-8")
    (pack,) = parse((tickets / "pack" / MANIFEST).read_text(encoding="utf-8"))
    shutil.copytree(tickets / "pack", tmp_path / "other")
    manifest.write(tmp_path / "other", [replace(pack, labels=("lost", "paid"))])
    refusals = [
        _refusal("evaluate", "--pack", tickets / "pack", "--data", tmp_path / f"{name}.csv", *TICKETS) for name in ("strange", "blank")
    ]
    refusals += [_refusal("compare", tickets / "pack", tickets / "pack", "--data", tmp_path / "strange.csv", *TICKETS)]
    refusals += [_refusal("compare", tickets / "pack", tmp_path / "other", "--data", tickets / "rows.csv", *TICKETS)]
    assert all("No row has a label that is known" in refusal for refusal in refusals)
    against = _lab("compare", tickets / "pack", tickets / "pack", "--data", tmp_path / "mixed.csv", *TICKETS, "--json")
    assert [json.loads(against.stdout)[name] for name in ("n", "dropped")] == [1, 1]


def test_a_place_that_cannot_be_written_is_refused(tickets: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    train = ("train", "--task", "tickets", "--data", tickets / "rows.csv", *TICKETS, "--no-mini", "--out")
    for out in (tmp_path / "file", tmp_path / "file/pack"):
        _refusal(*train, out)
    for out in (tmp_path, tmp_path / "file/events.jsonl", tmp_path / "none/events.jsonl"):
        _refusal("synth", "--task", "claims", "--n", "10", "--out", out)
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [("file", "kept")]


def test_what_trees_need_is_said(tickets: Path, tmp_path: Path) -> None:
    train = ("train", "--task", "tickets", "--data", tickets / "rows.csv", "--label", "team", "--no-mini", "--out", tmp_path / "pack")
    assert "name their columns with --text or --fields" in _refusal(*train)
    assert "name their columns with --fields" in _refusal(*train, "--text", "words", "--trees")
    rows = [f"{index},{'ab'[index % 2]},g,{('train', 'train', 'tune', 'certify')[index // 2 % 4]}" for index in range(400)]
    (tmp_path / "rows.csv").write_text("\n".join(["amount,team,all,part", *rows]), encoding="utf-8")
    named = ("--fields", "amount", "--label", "team", "--group", "all", "--part", "part")
    one = _refusal("train", "--task", "one", "--data", tmp_path / "rows.csv", *named, "--no-mini", "--out", tmp_path / "one")
    assert "too few groups" in one


def _tree(folder: Path) -> Mapping[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_training_that_fails_its_gates_or_is_stopped_leaves_the_published_pack_as_it_is(
    tickets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tickets / "pack", tmp_path / "pack")
    before = _tree(tmp_path / "pack")
    rows = ["words,team", *(f"the same words {index},{('pay', 'lose')[index * index % 7 % 2]}" for index in range(900))]
    (tmp_path / "noise.csv").write_text("\n".join(rows), encoding="utf-8")
    train = ("train", "--task", "tickets", *TICKETS, "--no-mini", "--out", tmp_path / "pack", "--data")
    refused = _lab(*train, tmp_path / "noise.csv")
    assert refused.exit_code == 3, refused.output
    kept = _tree(tmp_path / "pack")
    assert {name: kept[name] for name in before} == before
    assert _figures("--pack", tmp_path / "pack", "--data", tickets / "rows.csv", *TICKETS)["accuracy"] == 1
    # What was wrong with the other one is told beside.
    (report,) = (name for name in kept if name not in before and name.endswith(".html"))
    assert f"see {tmp_path / 'pack' / report}" in refused.output

    def stopped(*_arguments: object, **_named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("services.lab.main.judge", stopped)
        assert _lab(*train, tmp_path / "noise.csv").exit_code != 0
    assert {name: content for name, content in _tree(tmp_path / "pack").items() if name in before} == before
    again = _lab(*train, tickets / "rows.csv")
    assert again.exit_code == 0, again.output
    assert _tree(tmp_path / "pack") == before
    assert [path.name for path in (tmp_path / "pack").iterdir() if path.is_dir()] == []


def test_a_file_that_another_published_pack_needs_is_not_replaced(tickets: Path, tmp_path: Path) -> None:
    """Packs of intents share an encoder: one that is made anew while another is refused would leave that one without its own."""
    shutil.copytree(tickets / "pack", tmp_path / "made")
    shutil.copytree(tickets / "pack", tmp_path / "pack")
    (pack,) = parse((tmp_path / "pack" / MANIFEST).read_text(encoding="utf-8"))
    (tier,) = pack.tiers
    (tmp_path / "made/tickets-nano.onnx").write_bytes(b"new")
    other = replace(pack, tiers=(replace(tier, artefacts=(replace(tier.artefacts[0], sha256="new"),)),))
    manifest.write(tmp_path / "pack", [replace(pack, name="other")])
    before = _tree(tmp_path / "pack")
    with pytest.raises(StillNeeded):
        publish([Published(other, (), tmp_path / "made")], tmp_path / "made", tmp_path / "pack")
    assert _tree(tmp_path / "pack") == before


def test_a_manifest_is_replaced_whole_or_not_at_all(tickets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (pack,) = parse((tickets / "pack" / MANIFEST).read_text(encoding="utf-8"))
    manifest.write(tmp_path, [pack])

    def stopped(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", stopped)
    with pytest.raises(KeyboardInterrupt):
        manifest.write(tmp_path, [replace(pack, level="0.05")])
    assert parse((tmp_path / MANIFEST).read_text(encoding="utf-8")) == (pack,)


def test_thresholds_keep_the_error_below_target_with_proof() -> None:
    assert certify.upper_bound(0, 149) <= 0.02 < certify.upper_bound(0, 148)
    assert certify.upper_bound(0, 0) == certify.upper_bound(5, 5) == 1.0
    assert [certify.fewest(alpha) for alpha in (0.02, 0.01, 0.005)] == [149, 299, 598]


def test_near_copies_are_in_one_split() -> None:
    first, second = (Example(Features(text), "x", text[:80]) for text in ("a" * 100, "a" * 90 + "b" * 10))
    assert split(first) == split(second)
