"""`recoup` hands over to each process's own application and says what is missing where something is."""

from __future__ import annotations

import json
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


# `import` wants its file first; `work` is last, because it sets variables of its process.
WITHOUT_SETTINGS = {name: [name] for name in ("gateway", "ops", "roi", "courier", "steward", "dispatch", "migrate")} | {
    "import": ["import", "events", "pyproject.toml"],
    "work": ["work"],
}
# One new process says what every command says: each imports its own service, and most of that is the same.
PROGRAM = """
import json, sys
from importlib import import_module
from traceback import format_exception

from typer.main import get_command
from typer.testing import CliRunner

from services.cli.main import COMMANDS, app

said, bare = [], []


def walk(path, command):
    inner = getattr(command, "commands", {})
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "80"}).stdout
    bare.extend([*path, parameter.name] for parameter in command.params if parameter.name != "help" and not parameter.help)
    bare.extend([*path, what] for what, missing in (("its purpose", not command.help), ("uncut", "\u2026" in shown)) if missing)
    for name in inner:
        walk([*path, name], inner[name])


for command in COMMANDS:
    walk([command.name], get_command(import_module(command.module).app))
for arguments in json.loads(sys.argv[1]):
    done = CliRunner().invoke(app, arguments)
    failed = [] if isinstance(done.exception, SystemExit | None) else format_exception(done.exception)
    said.append((done.exit_code, done.stdout, done.stderr + "".join(failed)))
json.dump([said, bare], sys.stdout)
"""


Answers = dict[tuple[str, ...], tuple[int, str, str]]


@pytest.fixture(scope="module")
def heard() -> tuple[Answers, list[list[str]]]:
    """Exit status, output and errors by arguments, as in a shell without any of our settings; and what no help explains."""
    asked = [*([name, "--help"] for name in NAMES), *WITHOUT_SETTINGS.values()]
    environment = {"COLUMNS": "160", "NO_COLOR": "1", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", PROGRAM, json.dumps(asked)]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True, timeout=120)
    said, bare = json.loads(done.stdout)
    return {tuple(arguments): tuple(answer) for arguments, answer in zip(asked, said, strict=True)}, bare


@pytest.fixture(scope="module")
def answers(heard: tuple[Answers, list[list[str]]]) -> Answers:
    return heard[0]


def test_every_command_and_option_is_explained_and_nothing_is_cut_at_eighty_columns(heard: tuple[Answers, list[list[str]]]) -> None:
    assert heard[1] == []


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
def test_every_command_helps_under_its_own_name(answers: Answers, name: str) -> None:
    status, output, errors = answers[name, "--help"]
    assert status == 0, errors
    assert f"Usage: recoup {name} " in output
    assert errors == ""


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


def test_events_go_where_the_environment_of_a_running_line_says(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text("{}\n")
    environment = {"COLUMNS": "400", "RECOUP_API_KEY": "rk_a_b", "RECOUP_GATEWAY_URL": "http://[::1"}
    shown = CliRunner().invoke(app, ["import", "events", str(tmp_path / "events.jsonl")], env=environment)
    assert "http://[::1 is no address" in shown.output


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


@pytest.mark.parametrize("name", WITHOUT_SETTINGS)
def test_a_process_without_settings_names_the_variable_and_ends_with_2(answers: Answers, name: str) -> None:
    status, _, errors = answers[tuple(WITHOUT_SETTINGS[name])]
    assert status == 2
    assert re.match(r"RECOUP_[A-Z_]+: Field required\n", errors)
    assert "Traceback" not in errors
