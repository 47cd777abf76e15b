"""Several packs and several versions in one folder: how they come there, and how commands name them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from services.lab import manifest
from services.lab.versions import OtherEvents, numbers_of, refuse_other_events
from services.worker.runtime.pack import versions
from shared.inference.files import verified
from tests.lab_world import TICKETS, evaluated, lab, refusal_of


def _known(folder: Path) -> list[str]:
    return [f"{pack.name}@{pack.version}" for pack in manifest.packs(folder)]


@pytest.fixture
def packs(tickets: Path, tmp_path: Path) -> Path:
    """A folder with two packs."""
    folder = shutil.copytree(tickets / "pack", tmp_path / "packs")
    (pack,) = manifest.packs(folder)
    manifest.write(folder, [pack, replace(pack, name="other", task="other")])
    return folder


def test_a_new_version_is_trained_beside_the_present_one_which_decides_on(tickets: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tickets / "pack", tmp_path / "packs")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".toml"}
    rows = (tickets / "rows.csv").read_text(encoding="utf-8").split("\n")
    (tmp_path / "later.csv").write_text("\n".join(rows[:2_001]), encoding="utf-8")
    train = ("train", "--task", "tickets", *TICKETS, "--no-mini", "--out", folder, "--data")
    result = lab(*train, tmp_path / "later.csv", "--version", "2.10.0")
    assert result.exit_code == 0, result.output
    assert "tickets@2.10.0-report.html" in result.output
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert [pack.version for pack in versions(folder)["tickets"]] == ["2.0.0", "2.10.0"]
    assert json.loads((folder / "tickets@2.10.0-report.json").read_text(encoding="utf-8"))["version"] == "2.10.0"
    old, new = manifest.packs(folder)
    assert old.training["data_sha256"] != new.training["data_sha256"]
    assert all(verified(folder / name, artefact.sha256) for pack in (old, new) for name, artefact in pack.files.items())
    for version in ("2.0.0", "2.10.0"):
        found = evaluated("--pack", f"{folder}:tickets@{version}", "--data", tickets / "rows.csv", *TICKETS)
        assert (found["version"], found["accuracy"]) == (version, 1.0)
    against = lab("compare", f"{folder}:tickets@2.0.0", f"{folder}:tickets@2.10.0", "--data", tickets / "rows.csv", *TICKETS, "--json")
    assert json.loads(against.stdout)["difference"] == 0
    # Trained anew, the older one still stands before the newer one.
    assert lab(*train, tickets / "rows.csv").exit_code == 0
    assert manifest.packs(folder) == (old, new)


def test_a_version_that_takes_other_events_is_refused_because_the_one_that_decides_would_be_asked_otherwise(
    tickets: Path, packs: Path
) -> None:
    before = {path.name: path.read_bytes() for path in packs.iterdir()}
    train = ("train", "--task", "tickets", *TICKETS, "--no-mini", "--out", packs, "--data", tickets / "rows.csv", "--version", "2.1.0")
    assert "take the same events" in refusal_of(*train, "--event-type", "com.example.later.v1")
    assert {path.name: path.read_bytes() for path in packs.iterdir()} == before
    # What a field holds is known only once the pack is made.
    other, pack = manifest.packs(packs)
    assert pack.declares is not None
    told = replace(pack.declares, fields=("age",))
    known = replace(pack, declares=told, version="2.1.0", numbers=("age",))
    with pytest.raises(OtherEvents) as refused:
        refuse_other_events(told, known, [other, replace(pack, declares=told)], numbers_of(known))
    assert refused.value.context["in_what"] == ["age"]
    refuse_other_events(told, known, [other, replace(known, version="2.0.0")], numbers_of(known))


def test_a_pack_that_is_proven_anew_under_another_version_stays_as_it_was_too(tickets: Path, packs: Path) -> None:
    before = manifest.packs(packs)
    fresh = ("--data", tickets / "rows.csv", *TICKETS, "--levels", "0.02")
    result = lab("certify", "--pack", f"{packs}:tickets", *fresh, "--version", "2.0.1")
    assert result.exit_code == 0, result.output
    other, old, new = manifest.packs(packs)
    assert (other, old) == before
    assert (new.version, [found.level for found in new.certificates]) == ("2.0.1", ["0.02"])
    assert replace(new, version=old.version, certificates=old.certificates) == old
    assert "A pack of that version is published there already" in refusal_of(
        "certify", "--pack", f"{packs}:tickets@2.0.0", *fresh, "--version", "2.0.1"
    )
    assert lab("certify", "--pack", f"{packs}:tickets@2.0.1", *fresh, "--version", "2.0.1").exit_code == 0
    assert manifest.packs(packs) == (other, old, new)


@pytest.mark.parametrize(
    ("version", "reason"),
    [("1.9.9", "decide at once"), ("2.0", "decide at once"), *((wrong, "begins with a digit") for wrong in ("beta", "2/1", "2@1", " 2"))],
)
def test_a_version_that_would_decide_at_once_or_is_none_is_refused_before_anything_is_made(
    tickets: Path, packs: Path, version: str, reason: str
) -> None:
    before = {path.name: path.read_bytes() for path in packs.iterdir()}
    data = ("--data", tickets / "rows.csv", *TICKETS, "--version", version)
    assert reason in refusal_of("train", "--task", "tickets", *data, "--no-mini", "--out", packs)
    assert reason in refusal_of("certify", "--pack", f"{packs}:tickets", *data)
    assert {path.name: path.read_bytes() for path in packs.iterdir()} == before


def test_one_of_several_packs_of_a_folder_is_named_with_it(tickets: Path, packs: Path) -> None:
    other, pack = manifest.packs(packs)
    fresh = ("--data", tickets / "rows.csv", *TICKETS)
    for command, name in (("certify", packs), ("evaluate", packs), ("certify", f"{packs}:"), ("evaluate", f"{packs}:@2.0.0")):
        assert "more than one pack: say which" in (said := refusal_of(command, "--pack", name, *fresh))
        assert "other@2.0.0" in said
        assert "tickets@2.0.0" in said
    for command in ("certify", "evaluate"):
        assert "no such pack" in (said := refusal_of(command, "--pack", f"{packs}:none", *fresh))
        assert "tickets@2.0.0" in said
    assert lab("certify", "--pack", f"{packs}:other", *fresh, "--levels", "0.02").exit_code == 0
    proven, kept = manifest.packs(packs)
    assert (kept, [found.level for found in proven.certificates]) == (pack, ["0.02"])
    assert other != proven
    assert evaluated("--pack", f"{packs}:other", *fresh)["pack"] == "other"


def test_a_folder_may_have_a_colon_in_its_name(tickets: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tickets / "pack", tmp_path / "packs:2026")
    for name in (folder, f"{folder}:tickets"):
        assert lab("certify", "--pack", name, "--data", tickets / "rows.csv", *TICKETS).exit_code == 0
    assert _known(folder) == ["tickets@2.0.0"]
