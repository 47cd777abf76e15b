"""Publishing: what lies in a folder stays whole, whatever happens to what is made for it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from services.lab import manifest
from services.lab.publishing import Published, StillNeeded, publish
from shared.automations.pack import MANIFEST, parse
from shared.errors import InvariantBroken
from tests.lab_world import TICKETS, evaluated, lab


def test_a_manifest_that_nobody_could_read_is_not_written(tickets: Path, tmp_path: Path) -> None:
    (pack,) = parse((tickets / "pack" / MANIFEST).read_text(encoding="utf-8"))
    manifest.write(tmp_path, [pack])
    with pytest.raises(InvariantBroken):
        manifest.write(tmp_path, [pack, replace(pack, labels=("twice", "twice"))])
    assert parse((tmp_path / MANIFEST).read_text(encoding="utf-8")) == (pack,)


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
    refused = lab(*train, tmp_path / "noise.csv")
    assert refused.exit_code == 3, refused.output
    kept = _tree(tmp_path / "pack")
    assert {name: kept[name] for name in before} == before
    assert evaluated("--pack", tmp_path / "pack", "--data", tickets / "rows.csv", *TICKETS)["accuracy"] == 1
    # What was wrong with the other one is told beside.
    (report,) = (name for name in kept if name not in before and name.endswith(".html"))
    assert f"see {tmp_path / 'pack' / report}" in refused.output

    def stopped(*_arguments: object, **_named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("services.lab.main.judge", stopped)
        assert lab(*train, tmp_path / "noise.csv").exit_code != 0
    assert {name: content for name, content in _tree(tmp_path / "pack").items() if name in before} == before
    again = lab(*train, tickets / "rows.csv")
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
