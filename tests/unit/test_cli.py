"""`recoup` hands over to each process's own application and says what is missing where something is."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer import Exit
from typer.testing import CliRunner

from services.cli.main import COMMANDS, Command, app, run
from shared.release import PYTHON, SCHEMA, VERSION
from tests.servers import ROOT

if TYPE_CHECKING:
    from pathlib import Path

STUDY = (
    *("--automation", "claims", "--protocol", "p", "--observer", "o"),
    *("--observed-from", "2026-01-01", "--observed-until", "2026-02-01"),
)
NAMES = (
    "up",
    "demo",
    "gateway",
    "dispatch",
    "work",
    "courier",
    "steward",
    "ops",
    "roi",
    "migrate",
    "replay",
    "poison",
    "import",
    "baselines",
    "ledger",
    "keys",
    "plan",
    "truth",
    "certify",
    "lab",
)


def _recoup(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, as in a shell without any of our settings."""
    environment = {"COLUMNS": "160", "NO_COLOR": "1", "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-m", "services.cli.main", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_commands_are_those_that_are_documented() -> None:
    assert tuple(command.name for command in COMMANDS) == NAMES


def test_it_says_which_version_it_is() -> None:
    shown = CliRunner().invoke(app, ["--version"])
    assert (shown.exit_code, shown.output) == (0, f"recoup {VERSION}, schema {SCHEMA}, Python {PYTHON}\n")


def test_help_lists_every_command() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "160"})
    assert shown.exit_code == 0
    for command in COMMANDS:
        assert re.search(rf"\b{command.name}\b", shown.output)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_helps_under_its_own_name(name: str) -> None:
    shown = _recoup(name, "--help")
    assert shown.returncode == 0, shown.stderr
    assert f"Usage: recoup {name} " in shown.stdout
    assert shown.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import", "events", "bad.jsonl.gz"], "bad.jsonl.gz cannot be read: Not a gzipped file"),
        (["import", "events", "good.jsonl", "--url", "http://[::1"], "http://[::1 is no address"),
        (["baselines", "list", "--url", "foo"], "foo is no address: it begins with http:// or https://"),
        (["baselines", "study", "latin.csv", *STUDY], "latin.csv is not in UTF-8"),
        (["up", "--data-dir", "good.jsonl/x"], "good.jsonl/x cannot be used: Not a directory"),
        (["demo", "--data-dir", "good.jsonl/x"], "good.jsonl/x cannot be used: Not a directory"),
    ],
)
def test_input_that_cannot_be_used_is_named_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    (tmp_path / "bad.jsonl.gz").write_text("{}")
    (tmp_path / "good.jsonl").write_text("{}\n")
    (tmp_path / "latin.csv").write_bytes("seconds,größe\n1,2\n".encode("latin-1"))
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(app, arguments, env={"COLUMNS": "400", "NO_COLOR": "1", "RECOUP_API_KEY": "rk_a_b"})
    assert said in shown.output, shown
    assert shown.exit_code in {1, 2}
    assert isinstance(shown.exception, SystemExit)


def test_a_key_with_other_letters_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = CliRunner().invoke(app, ["baselines", "list"], env={"COLUMNS": "400", "RECOUP_API_KEY": "rk_ké"})
    assert (shown.exit_code, "RECOUP_API_KEY is no key" in shown.output, "ké" in shown.output) == (2, True, False)


def test_an_unknown_command_is_refused() -> None:
    assert CliRunner().invoke(app, ["frobnicate"]).exit_code == 2


def test_a_missing_extra_is_named_with_what_installs_it(capsys: pytest.CaptureFixture[str]) -> None:
    command = Command("fly", "tests.unit.needs_what_is_missing", "wings", "")
    with pytest.raises(Exit) as end:
        run(command, [])
    assert end.value.exit_code == 2
    assert capsys.readouterr().err == "recoup fly needs 'no_such_distribution': pip install 'recoup[wings]'\n"


def test_a_command_of_the_base_distribution_names_that(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exit):
        run(Command("walk", "tests.unit.needs_what_is_missing", "", ""), [])
    assert capsys.readouterr().err.endswith("pip install 'recoup'\n")


def test_a_module_of_ours_that_is_missing_is_a_bug_and_looks_like_one() -> None:
    with pytest.raises(ModuleNotFoundError):
        run(Command("x", "services.nowhere.main", "api", ""), [])


@pytest.mark.parametrize("name", ["gateway", "ops", "roi", "courier", "steward", "work", "dispatch", "migrate", "import"])
def test_a_process_without_settings_names_the_variable_and_ends_with_2(name: str) -> None:
    # `import` wants its file first.
    arguments = ["import", "events", "pyproject.toml"] if name == "import" else [name]
    ended = _recoup(*arguments)
    assert ended.returncode == 2
    assert re.match(r"RECOUP_[A-Z_]+: Field required\n", ended.stderr)
    assert "Traceback" not in ended.stderr
