"""Tables as labelled examples: formats, broken files, groups, parts and copies."""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from pydantic import TypeAdapter, ValidationError

from services.lab import examples, tasks
from services.lab.columns import Columns, ColumnTwice, labelled, sha256
from services.lab.examples import Example, UnreadableData, once, parts, split
from services.lab.plan import TooFewExamples, checked, labels_of
from services.lab.synth import generate
from services.ops.schemas.base import Line
from shared.automations.contract import Features
from shared.automations.registry import automation
from tests.lab_answers import example_of

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


def test_null_and_nan_are_blanks_in_every_column(tmp_path: Path) -> None:
    """A data frame writes NaN where it has nothing."""
    nan = float("nan")
    cells = {
        "words": pa.array([None, "", "a loan", "b loan", "nan"]),
        "number": pa.array([nan, 1.0, None, 2.5, nan]),
        "kind": pa.array(["a", None, "b", "c", "a"]).dictionary_encode(),
        "what": pa.array(["card", "loan", None, "", "card"]),
        "score": pa.array([0.0, nan, 1.0, None, 1.0]),
    }
    parquet.write_table(pa.table(cells), tmp_path / "rows.parquet")
    found = list(labelled(tmp_path / "rows.parquet", Columns(text="words", label="what", fields=("number", "kind"), segment="score")))
    assert [(example.features, example.label, example.segment) for example in found] == [
        (Features("", {"number": "", "kind": "a"}), "card", "0.0"),
        (Features("", {"number": "1.0", "kind": ""}), "loan", ""),
        (Features("nan", {"number": "", "kind": "a"}), "card", "1.0"),
    ]
    told = list(labelled(tmp_path / "rows.parquet", Columns(text="number", label="score")))
    assert [(example.features.text, example.label) for example in told] == [("", "0.0"), ("", "1.0"), ("", "1.0")]
    (tmp_path / "rows.jsonl").write_text('{"words": NaN, "what": "card"}\n{"words": "a", "what": NaN}\n', encoding="utf-8")
    assert [example.features.text for example in labelled(tmp_path / "rows.jsonl", Columns(text="words", label="what"))] == [""]


def test_events_without_a_label_are_passed_over() -> None:
    events = [asdict(event) for event in generate("claims", 40, 1)]
    expected = list(examples.events(automation("claims"), events))
    blank = [{**event, "label": cell} for event, cell in zip(events, (None, float("nan"), "", " "), strict=False)]
    assert list(examples.events(automation("claims"), [*blank, *events])) == expected


@pytest.mark.parametrize(
    "wrong", [Columns(label="none"), Columns(label="what", fields=("tea",)), Columns(label="what", text="words", part="channel")]
)
def test_a_missing_column_or_an_unknown_part_is_named(tmp_path: Path, wrong: Columns) -> None:
    with pytest.raises(UnreadableData):
        list(labelled(_written(tmp_path, ".csv"), wrong))


@pytest.mark.parametrize(
    "wrong",
    [
        Columns(label="what", text="words", fields=("channel", "what")),
        Columns(label="what", text="what"),
        Columns(label="what", text="words", fields=("words",)),
        Columns(label="what", fields=("channel", "channel")),
    ],
)
def test_the_label_is_no_input_and_no_input_is_named_twice(tmp_path: Path, wrong: Columns) -> None:
    """A pack that reads its answers is right about every label, and was certified for it."""
    with pytest.raises(ColumnTwice):
        list(labelled(_written(tmp_path, ".csv"), wrong))


@pytest.mark.parametrize("odd", ["two\nlines", "a\ttab", "x" * 201, "\x7f"])
def test_a_label_that_no_person_could_choose_is_refused(tmp_path: Path, odd: str) -> None:
    """The API takes an outcome as one line; cases of any other label could never be closed with the right one."""
    adapter = TypeAdapter(Line)
    with pytest.raises(ValidationError):
        adapter.validate_python(odd)
    longest = "é & <b>\u2028" + "x" * 192
    assert adapter.validate_python(longest) == longest
    columns = Columns(label="what", text="words")
    for name, labels in (("odd", ("card", "loan", odd)), ("fit", ("card", "loan", longest))):
        rows = [{"words": f"{place} {label[0]}", "what": label} for label in labels for place in range(12 if label in labels[:2] else 1)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    plan, _ = tasks.from_table("tickets", tmp_path / "fit.jsonl", columns, (), "")
    assert plan.declares is not None
    assert plan.declares.rare == (longest,)
    with pytest.raises(tasks.UnfitNames):
        tasks.from_table("tickets", tmp_path / "odd.jsonl", columns, (), "")


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


def test_parts_that_are_given_are_kept_and_validation_is_halved() -> None:
    rows = [example_of(f"text {index}", "a", part="validation" if index % 2 else "train") for index in range(400)]
    found = parts(rows)
    assert all(example.part == "train" for example in found["train"])
    assert len(found["train"]) == 200
    assert 70 < len(found["tune"]) < 130
    assert {split(example) for example in rows if example.part == "validation"} == {"tune", "certify"}


def test_of_copies_in_one_group_one_counts_and_no_order_says_which() -> None:
    rows = [example_of("yes", "a" if index % 4 else "b", group=str(index // 8)) for index in range(800)]
    rows += [example_of("yes", "a", group="0", amount="1"), example_of("no", "a", group="0")]
    counted, backwards = once(rows), once(rows[::-1])
    labels = [row.label for row, counts in zip(rows, counted, strict=True) if counts]
    assert len(labels) == 102
    assert 10 < labels.count("b") < 40
    assert sorted(labels) == sorted(row.label for row, counts in zip(rows[::-1], backwards, strict=True) if counts)


def test_rare_labels_are_left_out_and_too_few_examples_are_refused() -> None:
    rows = [example_of(str(index), "a" if index % 2 else "b") for index in range(100)] + [example_of("rare", "c")]
    assert labels_of(rows) == ("a", "b")
    with pytest.raises(TooFewExamples):
        labels_of(rows[1::2])
    with pytest.raises(TooFewExamples):
        checked({"train": rows, "tune": rows[:3], "certify": rows}, ("a", "b"))
    with pytest.raises(TooFewExamples):
        checked({"train": rows, "tune": rows, "certify": rows}, ("a", "b", "never seen"))
