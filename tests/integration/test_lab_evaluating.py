"""Packs on labelled data, and what the commands refuse."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from services.lab import manifest
from services.lab.synth import event as synthetic
from shared.automations.pack import MANIFEST, parse
from shared.clock import SystemClock
from shared.events.admission import admit, refuse_ahead
from shared.events.parse import structured
from tests.lab_world import CFPB, TICKETS, evaluated, lab, refusal_of


def test_a_folder_with_one_pack_can_be_evaluated(tmp_path: Path) -> None:
    assert lab("train", "--task", "claims", "--n", "6000", "--out", tmp_path / "pack").exit_code == 0
    data = tmp_path / "few.csv"
    data.write_text(
        "words,right\nthe windscreen is broken and the receipt is enclosed,fast_track_pay\nno such label,unheard\n", encoding="utf-8"
    )
    figures = evaluated("--pack", tmp_path / "pack", "--data", data, "--text", "words", "--label", "right")
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
    result = lab(*arguments)
    assert result.exit_code == 2
    assert "Error" in result.output
    assert list(tmp_path.iterdir()) == []


def test_rows_without_a_known_label_cannot_be_judged(tickets: Path, tmp_path: Path) -> None:
    for name, labels in (("strange", ("unheard", "of")), ("blank", ("", "")), ("mixed", ("pay", "unheard"))):
        (tmp_path / f"{name}.csv").write_text(f"words,team\nmy card,{labels[0]}\na bill,{labels[1]}\n", encoding="utf-8")
    (pack,) = parse((tickets / "pack" / MANIFEST).read_text(encoding="utf-8"))
    shutil.copytree(tickets / "pack", tmp_path / "other")
    manifest.write(tmp_path / "other", [replace(pack, labels=("lost", "paid"))])
    refusals = [
        refusal_of("evaluate", "--pack", tickets / "pack", "--data", tmp_path / f"{name}.csv", *TICKETS) for name in ("strange", "blank")
    ]
    refusals += [refusal_of("compare", tickets / "pack", tickets / "pack", "--data", tmp_path / "strange.csv", *TICKETS)]
    refusals += [refusal_of("compare", tickets / "pack", tmp_path / "other", "--data", tickets / "rows.csv", *TICKETS)]
    assert all("No row has a label that is known" in refusal for refusal in refusals)
    against = lab("compare", tickets / "pack", tickets / "pack", "--data", tmp_path / "mixed.csv", *TICKETS, "--json")
    assert [json.loads(against.stdout)[name] for name in ("n", "dropped")] == [1, 1]


def test_a_place_that_cannot_be_written_is_refused(tickets: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    train = ("train", "--task", "tickets", "--data", tickets / "rows.csv", *TICKETS, "--no-mini", "--out")
    for out in (tmp_path / "file", tmp_path / "file/pack"):
        refusal_of(*train, out)
    for out in (tmp_path, tmp_path / "file/events.jsonl", tmp_path / "none/events.jsonl"):
        refusal_of("synth", "--task", "claims", "--n", "10", "--out", out)
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [("file", "kept")]


def test_generated_events_that_a_door_would_refuse_are_not_written_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = SystemClock().now()
    monkeypatch.setattr(synthetic, "START", now - timedelta(hours=1))
    made = lab("synth", "--task", "complaints", "--n", "5000", "--out", tmp_path / "events", "--cloudevents")
    lines = (tmp_path / "events").read_bytes().splitlines()
    assert (made.exit_code, 100 < len(lines) < 1000, f"{len(lines)} events; those" in made.stderr) == (1, True, True), made.stderr
    for event in map(structured, lines):
        refuse_ahead(event, admit(event)[0], now, timedelta(seconds=30))
    assert lab("synth", "--task", "complaints", "--n", "100", "--out", tmp_path / "few", "--cloudevents").exit_code == 0
    assert lab("synth", "--task", "complaints", "--n", "1000", "--out", tmp_path / "labelled").exit_code == 0


def test_square_brackets_in_names_are_shown_as_they_are(tickets: Path, tmp_path: Path) -> None:
    data = shutil.copy(tickets / "rows.csv", tmp_path / "[b] rows.csv")
    shown = lab("evaluate", "--pack", tickets / "pack", "--data", data, *TICKETS)
    assert shown.exit_code == 0, shown.output
    assert "[b] rows.csv" in shown.stdout
