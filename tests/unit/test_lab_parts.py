"""The lab's parts one by one: tables, bins, mixtures, tokenisers, the encoder's graph, gates, comparisons."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from pyarrow import parquet
from tokenizers import Tokenizer

from services.lab import gates, levelling, mixing, nano
from services.lab.answers import UNKNOWN, Answers, mix
from services.lab.building import certificates_of
from services.lab.columns import Columns, labelled, sha256
from services.lab.comparison import compared
from services.lab.examples import Example, UnreadableData, once, parts, split
from services.lab.figures import figures, out_of_scope, per_label, quality
from services.lab.plan import TooFewExamples, checked, labels_of
from services.lab.wordpiece import encoded, learnt, pruned
from shared.automations import hashing
from shared.automations.bins import binned
from shared.automations.contract import Features
from shared.automations.pack import Artefact, Certificate, Pack, TierModel

ROWS = [
    {"words": "the card is lost", "what": "card", "channel": "web", "amount": "12.5", "who": "a"},
    {"words": "a loan, please", "what": "loan", "channel": "phone", "amount": "900", "who": "b"},
    {"words": "nobody knows", "what": "", "channel": "web", "amount": "1", "who": "c"},
]
COLUMNS = Columns(text="words", label="what", fields=("channel", "amount"), group="who", segment="channel")


def _written(folder: Path, suffix: str) -> Path:
    path = folder / f"rows{suffix}"
    lines = [list(ROWS[0]), *(list(row.values()) for row in ROWS)]
    if suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(ROWS), path)
    elif suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in ROWS), encoding="utf-8")
    elif suffix == ".tsv":
        path.write_text("\n".join("\t".join(line) for line in lines), encoding="utf-8")
    else:
        path.write_text("\ufeff" + "\n".join(",".join(f'"{cell}"' for cell in line) for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_table_gives_the_same_examples_in_every_format(tmp_path: Path, suffix: str) -> None:
    first, second = labelled(_written(tmp_path, suffix), COLUMNS)
    assert first == Example(Features("the card is lost", {"channel": "web", "amount": "12.5"}), "card", "a", segment="web")
    assert (second.label, second.group) == ("loan", "b")


def test_a_folder_is_read_file_by_file_and_named_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    for name in ("b", "a"):
        _written(tmp_path / "part", ".csv").rename(tmp_path / "part" / f"{name}.csv")
    assert len(list(labelled(tmp_path / "part", COLUMNS))) == 4
    assert sha256(tmp_path / "part") != sha256(tmp_path / "part/a.csv")


def test_a_label_of_blanks_is_none(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text('words,what\na,card\nb," "\nc,"\t "\nd,\ne, loan \n', encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text('{"words": "a", "what": 0}\n{"words": "b", "what": null}\n', encoding="utf-8")
    found = [
        [example.label for example in labelled(tmp_path / name, Columns(label="what", text="words"))] for name in ("rows.csv", "rows.jsonl")
    ]
    assert found == [["card", "loan"], ["0"]]


@pytest.mark.parametrize(
    "wrong", [Columns(label="none"), Columns(label="what", fields=("tea",)), Columns(label="what", text="words", part="channel")]
)
def test_a_missing_column_or_an_unknown_part_is_named(tmp_path: Path, wrong: Columns) -> None:
    with pytest.raises(UnreadableData):
        list(labelled(_written(tmp_path, ".csv"), wrong))


def test_equal_rows_without_text_are_one_group_whatever_the_file_is_called(tmp_path: Path) -> None:
    lines = [f"{index % 50},glass,{'pay' if index % 3 else 'ask'},{index % 150}" for index in range(600)]
    # The first has a cell too many, which is in no column.
    for name, order in (("a", [f"{lines[0]},surplus", *lines[1:]]), ("b", lines[::-1])):
        (tmp_path / f"{name}.csv").write_text("\n".join(["amount,kind,what,number", *order]), encoding="utf-8")
    columns = Columns(label="what", fields=("amount", "kind"))
    first, second = (list(labelled(tmp_path / f"{name}.csv", columns)) for name in ("a", "b"))
    assert [example.group for example in first] == [example.group for example in second[::-1]]
    # Rows differ by a column that is no input, too.
    assert len({example.group for example in first}) == 150
    found = parts(first)
    assert all(len(examples) % 4 == 0 for examples in found.values())
    assert min(map(len, found.values())) > 20


def test_an_empty_folder_holds_no_table(tmp_path: Path) -> None:
    with pytest.raises(UnreadableData):
        list(labelled(tmp_path, COLUMNS))


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_suffix_in_upper_case_is_the_same_suffix(tmp_path: Path, suffix: str) -> None:
    expected = list(labelled(_written(tmp_path, suffix), COLUMNS))
    for folder, name, content in (
        ("plain", f"ROWS{suffix.upper()}", (tmp_path / f"rows{suffix}").read_bytes()),
        ("packed", f"ROWS{suffix.upper()}.GZ", gzip.compress((tmp_path / f"rows{suffix}").read_bytes())),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(content)
        assert list(labelled(tmp_path / folder / name, COLUMNS)) == list(labelled(tmp_path / folder, COLUMNS)) == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"words": "x", ', "line 3, column"),
        ("[1, 2]", "line 3: no JSON object"),
        ("5", "line 3: no JSON object"),
        ('{"words": "card \\uD83D", "what": "card"}', "line 3: half of a surrogate pair"),
        ('{"words": ' + "[" * 100_000, "line 3: nested too deeply"),
    ],
    ids=["broken", "list", "number", "half a pair", "deep"],
)
def test_a_line_that_is_no_row_is_named_by_its_number_in_the_file(tmp_path: Path, line: str, reason: str) -> None:
    good = '{"words": "card \\ud83d\\ude00", "what": "card"}'
    (tmp_path / "rows.jsonl").write_text(f"{good}\n\n{line}\n{good}\n", encoding="utf-8")
    with pytest.raises(UnreadableData) as refused:
        list(labelled(tmp_path / "rows.jsonl", Columns(text="words", label="what")))
    assert reason in str(refused.value.context["reason"])


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(random.Random(1).randbytes(4_000)))
    for place in range(10, len(packed), 37):
        packed[place] ^= 255
        (tmp_path / "rows.csv.gz").write_bytes(packed)
        with pytest.raises(UnreadableData):
            list(labelled(tmp_path / "rows.csv.gz", COLUMNS))


def _example(text: str, label: str, group: str = "", part: str = "", **fields: str) -> Example:
    return Example(Features(text, fields), label, group or text, part)


def test_parts_that_are_given_are_kept_and_validation_is_halved() -> None:
    rows = [_example(f"text {index}", "a", part="validation" if index % 2 else "train") for index in range(400)]
    found = parts(rows)
    assert all(example.part == "train" for example in found["train"])
    assert len(found["train"]) == 200
    assert 70 < len(found["tune"]) < 130
    assert {split(example) for example in rows if example.part == "validation"} == {"tune", "certify"}


def test_of_copies_in_one_group_one_counts_and_no_order_says_which() -> None:
    rows = [_example("yes", "a" if index % 4 else "b", group=str(index // 8)) for index in range(800)]
    rows += [_example("yes", "a", group="0", amount="1"), _example("no", "a", group="0")]
    counted, backwards = once(rows), once(rows[::-1])
    labels = [row.label for row, counts in zip(rows, counted, strict=True) if counts]
    assert len(labels) == 102
    assert 10 < labels.count("b") < 40
    assert sorted(labels) == sorted(row.label for row, counts in zip(rows[::-1], backwards, strict=True) if counts)


def test_rare_labels_are_left_out_and_too_few_examples_are_refused() -> None:
    rows = [_example(str(index), "a" if index % 2 else "b") for index in range(100)] + [_example("rare", "c")]
    assert labels_of(rows) == ("a", "b")
    with pytest.raises(TooFewExamples):
        labels_of(rows[1::2])
    with pytest.raises(TooFewExamples):
        checked({"train": rows, "tune": rows[:3], "certify": rows}, ("a", "b"))
    with pytest.raises(TooFewExamples):
        checked({"train": rows, "tune": rows, "certify": rows}, ("a", "b", "never seen"))


def test_numbers_of_many_values_become_bins_and_the_rest_stays() -> None:
    rows = [_example("", "a", str(index), amount=str(index), year="1994" if index % 2 else "1995", kind="x") for index in range(200)]
    edges = nano.edges(rows)
    assert set(edges) == {"amount"}
    fields = {"amount": "150", "year": "1994", "kind": "x", "note": ""}
    assert binned(fields, edges) == {"amount": "7", "year": "1994", "kind": "x", "note": ""}
    assert binned({"amount": "unknown"}, edges) == {"amount": "unknown"}
    assert [binned({"amount": value}, edges)["amount"] for value in ("-1", "1e9", "nan")] == ["0", "9", "nan"]


STEMS = {"house": ("mortgag", "escrow", "apprais"), "study": ("scholar", "tuition", "graduat")}


def _inflected(endings: Sequence[str], count: int) -> list[Example]:
    """Two words of one label's stems, and one that says nothing."""
    chance, found = random.Random(7), []
    for index in range(count):
        label = ("house", "study")[index % 2]
        words = [chance.choice(STEMS[label]) + chance.choice(endings) for _ in range(2)]
        found.append(_example(f"{words[0]} the {words[1]} {index}", label))
    return found


@pytest.mark.parametrize("margin", [False, True])
def test_letters_tell_words_that_training_never_showed_by_their_stems(*, margin: bool) -> None:
    train, unseen = _inflected(("e", "ed", "s"), 200), _inflected(("ing", "ers", "ional"), 100)
    right = {}
    for letters in (0, 4):
        how = nano.Recipe(1 << 13, strength=1.0, letters=letters, margin=margin)
        model = nano.fit(train, ("house", "study"), how)
        found = model.probabilities(hashing.encode([example.features for example in unseen], how.buckets, letters))
        right[letters] = float((np.array(("house", "study"))[found.argmax(axis=1)] == [example.label for example in unseen]).mean())
    assert right[0] < 0.7
    assert right[4] > 0.95


def test_a_temperature_makes_probabilities_of_margins() -> None:
    chance = random.Random(3)
    rows = [
        _example(" ".join(chance.choices("abcdefgh", weights=range(*((1, 9) if label == "x" else (9, 1, -1))), k=6)), label, str(index))
        for index in range(3_000)
        for label in [chance.choice("xy")]
    ]
    how = nano.Recipe(1 << 13, strength=0.03, margin=True)
    model = nano.fit(rows[:1_000], ("x", "y"), how)
    cooled = model.cooled(nano.temperature(model, rows[1_000:2_000], ("x", "y"), how))
    fresh, truth = (
        hashing.encode([row.features for row in rows[2_000:]], how.buckets),
        np.array([int(row.label == "y") for row in rows[2_000:]]),
    )
    before, after = (quality(found.probabilities(fresh), truth)["calibration_error"] for found in (model, cooled))
    assert after < 0.05 < before


def _answers(
    truth: Sequence[int], alone: Mapping[str, npt.NDArray[np.float32]], labels: tuple[str, ...] = ("a", "b"), **more: object
) -> Answers:
    tiers = tuple(
        TierModel(name=name, kind="linear", artefacts=(Artefact(file=name, sha256="0", bytes=1),), buckets=1, hashing=1) for name in alone
    )
    pack = replace(Pack(name="x", version="1", task="x", labels=labels, level="0.02", tiers=tiers), **more)  # type: ignore[arg-type]
    return mix(Answers(pack, np.array(truth, dtype=np.int64), alone, {}, ("",) * len(truth)))


def _sure(truth: npt.NDArray[np.int64], right: npt.NDArray[np.bool_], confidence: float = 0.9) -> npt.NDArray[np.float32]:
    said = np.where(right, truth, 1 - truth)
    found = np.full((len(truth), 2), 1 - confidence, dtype=np.float32)
    found[np.arange(len(truth)), said] = confidence
    return found


def test_models_that_err_differently_are_mixed_into_a_better_one() -> None:
    draws = np.random.default_rng(0)
    truth = draws.integers(0, 2, 4_000)
    logits = [np.where(truth == 1, 1.0, -1.0) + draws.normal(0, noise, 4_000) for noise in (1.2, 1.0)]
    alone = [np.column_stack((1 / (1 + np.exp(score)), 1 / (1 + np.exp(-score)))).astype(np.float32) for score in logits]
    weights = mixing.fit(alone, truth)
    together = mixing.mixed(alone, weights)
    assert all(weight > 0 for weight in weights)
    best = max(quality(found, truth)["accuracy"] for found in alone)
    assert quality(together.astype(np.float32), truth)["accuracy"] > best + 0.02
    assert quality(together.astype(np.float32), truth)["calibration_error"] < 0.03


def test_a_model_that_knows_nothing_gets_no_weight() -> None:
    draws = np.random.default_rng(1)
    truth = draws.integers(0, 2, 2_000)
    useless = draws.random(2_000)
    alone = [_sure(truth, draws.random(2_000) < 0.9), np.column_stack((useless, 1 - useless)).astype(np.float32)]
    assert mixing.fit(alone, truth)[1] < 0.05


def test_the_worker_and_the_lab_mix_alike() -> None:
    draws = np.random.default_rng(2)
    alone = [found / found.sum(axis=1, keepdims=True) for found in draws.random((2, 50, 3)).astype(np.float32)]
    found = _answers([0] * 50, dict(zip(("nano", "mini"), alone, strict=True)), ("a", "b", "c"))
    tiers = (found.pack.tiers[0], replace(found.pack.tiers[1], mix={"nano": 0.4, "mini": 1.3}))
    served = mix(replace(found, pack=replace(found.pack, tiers=tiers))).last
    np.testing.assert_allclose(served, mixing.mixed(alone, (0.4, 1.3)), atol=1e-6)


TEXTS = ["the card is lost", "where is my card now", "a café, please: now!", "lost and found"] * 5


def test_a_pruned_tokeniser_reads_what_it_was_pruned_for_exactly_as_its_teacher() -> None:
    teacher = learnt(TEXTS + ["completely different words of other people"] * 5, 300, 32)
    made, kept = pruned(teacher, TEXTS, 32)
    assert len(kept) < teacher.get_vocab_size()
    assert [kept[ids].tolist() for ids in encoded(made, TEXTS)] == encoded(teacher, TEXTS)
    assert made.token_to_id("[UNK]") not in encoded(made, ["different words"])[0]
    assert len(encoded(made, ["word " * 100])[0]) == 32
    assert Tokenizer.from_str(made.to_str()).encode("lost").ids == made.encode("lost").ids


def test_a_field_of_a_frequent_value_is_one_piece_and_says_the_same_in_every_file() -> None:
    texts = [f"band=small kind=glass delay=<=1 number={index} the card is lost" for index in range(40)] + ["band=large a=b the card"] * 5
    made = learnt(texts, 300, 32)
    assert [made.id_to_token(index) for index in encoded(made, ["band=small kind=glass delay=<=1 the card"])[0]] == [
        "[CLS]", "band=small", "kind=glass", "delay=<=1", "the", "card", "[SEP]",
    ]  # fmt: skip
    # Rare values, longer ones and other names are read piece by piece.
    assert all(len(encoded(made, [other])[0]) >= 5 for other in ("band=large", "band=smaller", "xband=small", "delay=<=14", "number=7"))
    assert made.to_str() == learnt(texts[::-1], 300, 32).to_str()
    again = Tokenizer.from_str(made.to_str())
    assert encoded(again, texts) == encoded(made, texts)
    assert max(map(max, encoded(made, texts))) < made.get_vocab_size()


def test_texts_to_look_at_come_from_all_of_the_data() -> None:
    texts = [str(index) for index in range(4_537)]
    found = levelling.spread(texts)
    assert 100 <= len(found) < 150
    assert (found[0], int(found[-1]) > 4_450) == ("0", True)
    assert levelling.spread(texts[:7]) == texts[:7]


def test_figures_tell_out_of_scope_texts_from_the_others() -> None:
    said = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 2]]
    found = out_of_scope(_answers([0, 1, 2, 2, 0], {"nano": said}, ("a", "b", "oos")))
    assert found == {"oos_recall": 0.5, "in_scope_accuracy": 0.6667}
    assert out_of_scope(_answers([0, 1], {"nano": said[:2, :2]})) == {}


def test_a_binary_pack_has_an_auc_and_every_tier_its_own_figures() -> None:
    draws = np.random.default_rng(3)
    truth = draws.integers(0, 2, 500)
    alone = {"nano": _sure(truth, draws.random(500) < 0.7), "mini": _sure(truth, draws.random(500) < 0.9)}
    made = figures(_answers(truth.tolist(), alone))
    assert made["accuracy"] == made["tiers"]["mini"]["accuracy"] > made["tiers"]["nano"]["accuracy"]
    assert 0.8 < made["auc"] <= 1.0


CERTIFIED = Certificate(
    level="0.02", alpha=0.02, delta=0.05, thresholds={"nano": 0.5, "mini": 0.5}, n=9, accepted=5, errors=0, upper=0.01, coverage=0.5
)


def test_cases_of_a_label_that_the_pack_does_not_have_are_wrong_at_every_level_and_in_no_other_figure() -> None:
    truth = np.array([0, 1] * 100)
    alone = {"nano": _sure(truth, np.arange(200) % 10 > 0)}
    known = _answers(truth.tolist(), alone, certificates=(CERTIFIED,))
    found = _answers([*truth.tolist(), *[UNKNOWN] * 20], {"nano": np.tile(alone["nano"], (2, 1))[:220]}, certificates=(CERTIFIED,))
    assert found.scores()[0].wrong[200:].all()
    before, after = figures(known), figures(found)
    assert {**after, "levels": before["levels"]} == before
    levels = [(made["levels"]["0.02"]["n"], made["levels"]["0.02"]["errors"]) for made in (before, after)]
    assert levels == [(200, 20), (220, 40)]
    assert per_label(found) == per_label(known)


def _certified(rows: Sequence[Example], wrong: Sequence[bool]) -> list[int]:
    """Accepted labels at 2 % and 5 %, where tuning and certification labels are alike."""
    found = _answers([0] * len(rows), {"nano": _sure(np.zeros(len(rows), dtype=np.int64), ~np.array(wrong))})
    return [made.accepted for made in certificates_of(found, found, {"tune": rows, "certify": rows}, ("0.02", "0.05"), "any")]


def test_copies_prove_no_more_than_what_they_are_copies_of() -> None:
    few, enough = ([_example(f"case {index}", "a") for index in range(count)] for count in (120, 150))
    assert _certified(few, [False] * 120) == _certified(few * 12, [False] * 1_440) == [0, 120]
    assert _certified(enough, [False] * 150) == [150, 150]


def test_a_wrong_answer_to_a_frequent_input_breaks_a_promise_as_often_as_it_is_given() -> None:
    rows = [_example(f"case {index}", "a") for index in range(400)]
    assert _certified(rows, [True, *[False] * 399]) == [400, 400]
    assert _certified([*rows, *rows[:1] * 8], [True, *[False] * 399, *[True] * 8]) == [0, 400]


def _first(found: Answers, count: int) -> Answers:
    return replace(found, tiers={name: rows[:count] for name, rows in found.tiers.items()})


class Wordy:
    """The longer a document, the surer of the first label: each word speaks for it, but for masks."""

    def probabilities(self, documents: Sequence[Features]) -> npt.NDArray[np.float32]:
        words = [sum(word.isascii() for word in document.text.split()) for document in documents]
        sure = (0.5 + 0.02 * np.minimum(words, 20)).astype(np.float32)
        return np.column_stack((sure, 1 - sure)).astype(np.float32)


def _failed(found: Answers, ask: Answers | None = None) -> set[str]:
    rows = [_example(f"some longer words {index}", "a") for index in range(len(found.truth))]
    asked = ask or found
    picked = gates.judged(found.pack, found, lambda some: _first(asked, len(some)), rows, 0, Wordy())
    return {gate.name for gate in picked if not gate.passed}


def test_a_good_pack_passes_every_gate_and_each_fault_fails_its_own() -> None:
    draws = np.random.default_rng(4)
    truth = np.zeros(400, dtype=np.int64) + (np.arange(400) % 2)
    good = _sure(truth, draws.random(400) < 0.9)
    constant = np.tile(np.array([[0.9, 0.1]], dtype=np.float32), (400, 1))
    passing = _answers(truth.tolist(), {"nano": constant}, certificates=(CERTIFIED,))
    assert _failed(replace(passing, tiers={"nano": good}, alone={"nano": good}), passing) == {
        f"answers turned by {name}" for name in gates._CHANGES
    }
    steady = _answers([0] * 350 + [1] * 50, {"nano": _sure(np.zeros(400, np.int64), np.ones(400, bool), 0.88)}, certificates=(CERTIFIED,))
    assert _failed(steady) == {"covariance with the labels"}
    assert "certified" in _failed(replace(steady, pack=replace(steady.pack, certificates=())))
    boasting = _answers(
        [0] * 350 + [1] * 50, {"nano": _sure(np.zeros(400, np.int64), np.ones(400, bool), 0.999)}, certificates=(CERTIFIED,)
    )
    assert "calibration error" in _failed(boasting)
    worse = _answers(truth.tolist(), {"nano": good, "mini": _sure(truth, draws.random(400) < 0.6)}, certificates=(CERTIFIED,))
    assert "gain of the last tier over the first" in _failed(worse)


def test_a_segment_that_bears_the_errors_fails_the_pack() -> None:
    truth = np.zeros(600, dtype=np.int64)
    found = _answers(truth.tolist(), {"nano": _sure(truth, np.arange(600) >= 60)}, certificates=(CERTIFIED,))
    unfair = replace(found, segments=("phone",) * 100 + ("web",) * 500)
    assert {gate.name for gate in gates._fair(unfair, "any") if not gate.passed} == {"errors in segment phone, times the whole's"}
    even = replace(found, segments=tuple("phone" if index % 2 else "web" for index in range(600)))
    assert all(gate.passed for gate in gates._fair(even, "any"))


@pytest.mark.parametrize("text", ["", "a", "short", "several longer words, with more of them"])
def test_harmless_changes_keep_the_letters(text: str) -> None:
    for name, (change, _) in gates._CHANGES.items():
        changed = change(text, random.Random(1))
        assert sorted(changed.lower().split()) == sorted(text.lower().split()) or name == "one typing error"
        assert sorted(changed.lower().replace(" ", "").strip()) == sorted(text.lower().replace(" ", ""))


def test_a_comparison_is_paired_and_draws_whole_groups() -> None:
    draws = np.random.default_rng(8)
    truth = draws.integers(0, 2, 1_000)
    first_right = draws.random(1_000) < 0.8
    second_right = first_right | (draws.random(1_000) < 0.3)
    first, second = (_answers(truth.tolist(), {"nano": _sure(truth, right)}) for right in (first_right, second_right))
    found = compared(first, second, [str(index) for index in range(1_000)])
    assert found["low"] <= found["difference"] <= found["high"]
    assert found["low"] > 0
    assert found["only_first_right"] == 0
    assert found["p_value"] < 0.001
    one_group = compared(first, second, ["same"] * 500 + [str(index) for index in range(500)])
    assert one_group["high"] - one_group["low"] > found["high"] - found["low"]
    assert compared(first, first, ["x"] * 1_000)["p_value"] == 1.0
