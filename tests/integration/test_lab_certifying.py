"""Certificates: what counts in them, which promises they prove, and proving them anew."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from services.lab import certify, training
from services.lab.columns import Columns, labelled
from shared.automations.pack import MANIFEST, parse, render
from tests.lab_world import TICKETS, evaluated, lab, refusal_of


def test_cases_of_labels_too_rare_to_learn_count_as_errors_in_every_certificate(tmp_path: Path) -> None:
    """One case in five is of a label with nine cases, and looks like those of a frequent one."""
    draws, words = random.Random(5), {"card": "my card is lost", "loan": "a loan please"}
    labels = [draws.choice(list(words)) for _ in range(1_600)] + [f"rare {index // 9}" for index in range(396)]
    rows = [f"{index} {draws.randrange(1_000)} {words.get(label, words['card'])},{label}" for index, label in enumerate(labels)]
    for name, part in (("old", rows[::2]), ("new", rows[1::2]), ("plain", rows[:1_600])):
        (tmp_path / f"{name}.csv").write_text("\n".join(["words,what", *part]), encoding="utf-8")
    named = ("--text", "words", "--label", "what")
    trained = lab("train", "--task", "tickets", "--data", tmp_path / "old.csv", *named, "--no-mini", "--out", tmp_path / "first")
    # Nothing can be proven of it, and so it is not published.
    assert trained.exit_code == 3, trained.output
    report = json.loads((tmp_path / "first/tickets-report.json").read_text(encoding="utf-8"))
    assert (report["accuracy"], report["levels"]["0.05"]["accepted"]) == (1.0, 0)
    assert report["levels"]["0.05"]["n"] == report["n_certify"] + report["n_of_rare_labels"]

    pack = tmp_path / "second"
    assert lab("train", "--task", "tickets", "--data", tmp_path / "plain.csv", *named, "--no-mini", "--out", pack).exit_code == 0
    figures = evaluated("--pack", pack, "--data", tmp_path / "new.csv", *named)
    assert (figures["n"], figures["dropped"], figures["accuracy"]) == (800, 198, 1.0)
    assert figures["levels"]["0.05"]["errors"] == 198
    certified = lab("certify", "--pack", pack, "--data", tmp_path / "new.csv", *named)
    # For a script, as `train` ends where it proves nothing; people decide all cases from then on.
    assert certified.exit_code == 3, certified.output
    assert "nothing could be certified at any level" in certified.stderr
    assert len(certified.stdout.splitlines()) == 3
    (proven,) = parse((pack / MANIFEST).read_text(encoding="utf-8"))
    assert [found.accepted for found in proven.certificates] == [0, 0, 0]


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
        refusal_of("train", "--task", "tickets", *data, "--no-mini", f"--level={level}", "--out", tmp_path / "pack"),
        refusal_of("certify", "--pack", tickets / "pack", *data, f"--levels={level}"),
    ):
        assert "A level is a share between 0 and 1" in refusal
    assert not (tmp_path / "pack").exists()
    assert parse((tickets / "pack" / MANIFEST).read_text(encoding="utf-8")) == (before,)


def test_a_share_has_one_name_however_it_is_written(tickets: Path, tmp_path: Path) -> None:
    data = ("--data", tickets / "rows.csv", *TICKETS)
    trained = lab("train", "--task", "tickets", *data, "--no-mini", "--level", "0.0200", "--out", tmp_path)
    assert trained.exit_code == 0, trained.output
    (pack,) = parse((tmp_path / MANIFEST).read_text(encoding="utf-8"))
    assert (pack.level, [found.level for found in pack.certificates]) == ("0.02", ["0.01", "0.02", "0.05"])
    assert lab("certify", "--pack", tmp_path, *data, "--levels", ".050, 2e-2,0.02").exit_code == 0
    (proven,) = parse((tmp_path / MANIFEST).read_text(encoding="utf-8"))
    assert (proven.level, [found.level for found in proven.certificates]) == ("0.02", ["0.02", "0.05"])


def test_a_pack_that_is_certified_anew_keeps_its_own_level(tickets: Path, tmp_path: Path) -> None:
    data = ("--data", tickets / "rows.csv", *TICKETS)
    trained = lab("train", "--task", "tickets", *data, "--no-mini", "--level", "0.08", "--out", tmp_path)
    assert trained.exit_code == 0, trained.output
    for levels in ((), ("--levels", "0.08,0.05,0.02,0.01")):
        assert lab("certify", "--pack", tmp_path, *data, *levels).exit_code == 0
        (proven,) = parse((tmp_path / MANIFEST).read_text(encoding="utf-8"))
        assert (proven.level, [found.level for found in proven.certificates]) == ("0.08", ["0.01", "0.02", "0.05", "0.08"])
    assert "The levels leave out the pack's own" in refusal_of("certify", "--pack", tmp_path, *data, "--levels", "0.01,0.05")
    assert parse((tmp_path / MANIFEST).read_text(encoding="utf-8")) == (proven,)


def test_thresholds_keep_the_error_below_target_with_proof() -> None:
    assert certify.upper_bound(0, 149) <= 0.02 < certify.upper_bound(0, 148)
    assert certify.upper_bound(0, 0) == certify.upper_bound(5, 5) == 1.0
    assert [certify.fewest(alpha) for alpha in (0.02, 0.01, 0.005)] == [149, 299, 598]
