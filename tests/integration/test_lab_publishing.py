"""Publishing: what lies in a folder stays whole, whatever happens to what is made for it."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from services.lab import files, manifest, tasks, training
from services.lab.columns import Columns
from services.lab.publishing import Published, draft, judge, publish
from services.worker.runtime.build import Kit, build_cascade
from services.worker.tiers import CaseInput
from shared.automations.contract import Features
from shared.automations.declared import automation_of
from shared.automations.pack import MANIFEST, parse
from shared.errors import InvariantBroken
from shared.inference.files import verified
from shared.inference.models import Models
from tests.killed_publishers import killed_publishers
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


@pytest.fixture(scope="module")
def folders(tickets: Path, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """``old`` is a folder with a pack and another one that shares its file; ``new`` a draft of the first with other models."""
    folder = tmp_path_factory.mktemp("folders")
    old, new = folder / "old", folder / "new"
    shutil.copytree(tickets / "pack", old)
    (pack,) = manifest.packs(old)
    manifest.write(old, [pack, replace(pack, name="other", task="other")])
    rows = (tickets / "rows.csv").read_text(encoding="utf-8").split("\n")
    (folder / "rows.csv").write_text("\n".join(rows[:2_001]), encoding="utf-8")
    plan, found = tasks.from_table("tickets", folder / "rows.csv", Columns(text="words", label="team"), (), "")
    judged = judge(training.train(plan, found, new, lambda _name, _total: lambda: None), new, found, 0)
    assert not judged.failed
    return Folders(old, new, judged)


@dataclass(frozen=True, slots=True)
class Folders:
    old: Path
    new: Path
    judged: Published

    def drafted(self, folder: Path) -> Path:
        """The draft of the new pack, as the command leaves it before it publishes."""
        return shutil.copytree(self.new, draft(folder, "tickets"), dirs_exist_ok=True)


def _named_plainly(folder: Path) -> None:
    """As folders were before files said their content in their names."""
    packs = [
        replace(pack, card=f"{pack.name}.md", tiers=tuple(
            replace(tier, artefacts=(replace(tier.artefacts[0], file="tickets-nano.onnx"),)) for tier in pack.tiers
        ))
        for pack in manifest.packs(folder)
    ]  # fmt: skip
    before = manifest.packs(folder)[0]
    (folder / before.tiers[0].artefacts[0].file).rename(folder / "tickets-nano.onnx")
    for pack in packs:
        shutil.copy(folder / before.card, folder / pack.card)
    (folder / before.card).unlink()
    manifest.write(folder, packs)


def _needed(folder: Path) -> set[str]:
    """All that may lie in a folder with these packs."""
    return {MANIFEST, "tickets-report.json", "tickets-report.html", *files.names(manifest.packs(folder))}


def _is_whole(folder: Path) -> None:
    for pack in manifest.packs(folder):
        assert all(verified(folder / name, artefact.sha256) for name, artefact in pack.files.items())
        assert Models(folder).scorer(pack, pack.tiers[0]).probabilities([Features("my card is lost")]).shape == (1, 2)
        assert (folder / pack.card).is_file()


@pytest.mark.slow
@pytest.mark.parametrize("named", ["by content", "plainly"])
def test_whoever_is_killed_at_any_step_of_publishing_leaves_one_whole_pack_and_the_same_command_ends_clean(
    folders: Folders, tmp_path: Path, named: str
) -> None:
    """A process is killed before each of its operations on files in turn, over a pack of the same name."""
    before = shutil.copytree(folders.old, tmp_path / "before")
    if named == "plainly":
        _named_plainly(before)
    old, other = sorted(manifest.packs(before), key=lambda pack: pack.name != "tickets")
    clean = shutil.copytree(before, tmp_path / "clean")
    (new,) = (made.pack for made in publish([folders.judged], folders.drafted(clean), clean))
    folders.drafted(before)
    killed = killed_publishers([folders.judged], before, tmp_path / "killed")
    assert len(killed) > 12
    states = []
    for folder in killed:
        kept, pack = sorted(manifest.packs(folder), key=lambda pack: pack.name)
        assert kept == other
        assert pack in (old, new)
        states.append(pack == new)
        _is_whole(folder)
        told = clean if pack == new else before
        assert all(found.read_bytes() == (told / found.name).read_bytes() for found in folder.glob("*-report.*"))
        for needed in (_needed(before) | _needed(clean), _needed(clean)):
            (again,) = publish([folders.judged], folders.drafted(folder), folder)
            assert again.pack == new
            _is_whole(folder)
            assert {path.name for path in folder.iterdir()} <= needed
        assert _tree(folder) == {name: content for name, content in _tree(clean).items() if name in _needed(clean)}
    assert states == sorted(states)
    assert set(states) == {False, True}


def test_a_process_that_has_read_the_manifest_finds_its_models_after_another_was_published(folders: Folders, tmp_path: Path) -> None:
    folder = shutil.copytree(folders.old, tmp_path / "packs")
    packs = [pack for pack in manifest.packs(folder) if pack.name == "tickets"]
    manifest.write(folder, packs)
    made = automation_of(packs)
    running = build_cascade(made, Kit.read(folder))
    publish([folders.judged], folders.drafted(folder), folder)
    case = CaseInput(uuid.UUID(int=0), made.data_model.model_validate({"words": "my wallet was stolen"}))
    for cascade in (running, build_cascade(made, Kit.read(folder))):
        (result,) = cascade.decide([case])
        assert result.verdict is not None
        assert result.verdict.outcome == "lose"


def test_one_publishes_at_a_time(folders: Folders, tmp_path: Path) -> None:
    """Else the slower of two would write a manifest without the other's pack, and remove files that the other has just brought."""
    folder = shutil.copytree(folders.old, tmp_path / "packs")
    made_in = folders.drafted(folder)
    with ThreadPoolExecutor() as threads:
        with files.locked(folder):
            waiting = threads.submit(publish, [folders.judged], made_in, folder)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.5)
            (pack, other) = sorted(manifest.packs(folder), key=lambda pack: pack.name != "tickets")
            manifest.write(folder, [pack, other, replace(other, name="third", task="third")])
        waiting.result(timeout=60)
    assert [pack.name for pack in manifest.packs(folder)] == ["other", "third", "tickets"]


def test_a_file_that_another_published_pack_needs_stays_beside_the_new_one(tickets: Path, tmp_path: Path) -> None:
    """Packs of intents share an encoder: one that is made anew while another is refused would leave that one without its own."""
    shutil.copytree(tickets / "pack", tmp_path / "pack")
    (pack,) = manifest.packs(tmp_path / "pack")
    (tier,) = pack.tiers
    shutil.copytree(tickets / "pack", tmp_path / "made")
    (tmp_path / "made/tickets-nano.onnx").write_bytes(b"new")
    fresh = replace(tier.artefacts[0], file="tickets-nano.onnx", sha256=hashlib.sha256(b"new").hexdigest())
    made = replace(pack, tiers=(replace(tier, artefacts=(fresh,)),))
    manifest.write(tmp_path / "pack", [replace(pack, name="other"), pack])
    for _ in range(2):
        shutil.copytree(tmp_path / "made", tmp_path / "draft")
        publish([Published(made, (), tmp_path / "draft")], tmp_path / "draft", tmp_path / "pack")
        shutil.rmtree(tmp_path / "draft")
    other, published = manifest.packs(tmp_path / "pack")
    assert (other, [found.sha256 for found in published.files.values()]) == (replace(pack, name="other"), [fresh.sha256])
    assert all(verified(tmp_path / "pack" / name, found.sha256) for made in (other, published) for name, found in made.files.items())


def test_no_file_of_the_users_goes(folders: Folders, tmp_path: Path) -> None:
    folder = shutil.copytree(folders.old, tmp_path / "packs")
    theirs = {"notes.md": "mine", "sales-0123456789ab.json": "{}", "other-nano.onnx": "mine"}
    for name, content in theirs.items():
        (folder / name).write_text(content, encoding="utf-8")
    for _ in range(2):
        publish([folders.judged], folders.drafted(folder), folder)
    assert {name: (folder / name).read_text(encoding="utf-8") for name in theirs} == theirs


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
