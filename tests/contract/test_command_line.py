"""Every command says what it can do, and what is wrong with its settings before it does anything."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module

import pytest
from cryptography.fernet import Fernet
from typer.testing import CliRunner

from services.cli.main import COMMANDS
from tests.servers import ROOT

GOOD = {
    "RECOUP_DATABASE_URL": "postgresql+psycopg://recoup_app:x@127.0.0.1/recoup",
    "RECOUP_DATABASE_ADMIN_URL": "postgresql+psycopg://postgres:x@127.0.0.1/recoup",
    "RECOUP_REDIS_URL": "redis://127.0.0.1:6379/0",
    "RECOUP_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
    "RECOUP_SECRET_KEY": Fernet.generate_key().decode(),
    "RECOUP_API_KEY": "rk_x",
}
BAD = "canary"
# `work` sets variables of its process before it imports anything: it gets one of its own. `lab`, `plan` and `truth` have no settings,
# and `certify` reads them when it is told whose model to ask.
HERE = [command for command in COMMANDS if command.name not in {"work", "certify", "lab", "plan", "truth"}]
NEEDS = {
    "gateway": {"RECOUP_DATABASE_URL", "RECOUP_REDIS_URL", "RECOUP_SECRET_KEY"},
    "dispatch": {"RECOUP_DATABASE_URL", "RECOUP_REDIS_URL"},
    "courier": {"RECOUP_DATABASE_URL", "RECOUP_SECRET_KEY"},
    "steward": {"RECOUP_DATABASE_URL", "RECOUP_REDIS_URL"},
    "ops": {"RECOUP_DATABASE_URL", "RECOUP_SECRET_KEY"},
    "roi": {"RECOUP_DATABASE_URL"},
    "migrate": {"RECOUP_DATABASE_ADMIN_URL"},
    "replay": {"RECOUP_DATABASE_URL"},
    "poison": {"RECOUP_DATABASE_URL"},
    "import": {"RECOUP_API_KEY"},
    "baselines": {"RECOUP_API_KEY"},
    "keys": {"RECOUP_DATABASE_URL"},
    "ledger": {"RECOUP_DATABASE_URL"},
}


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("RECOUP_")]:  # noqa: TID251  # a test clears what its shell has set
        monkeypatch.delenv(name)


def _check(name: str) -> tuple[int, str]:
    (module,) = [command.module for command in COMMANDS if command.name == name]
    done = CliRunner().invoke(import_module(module).app, ["--check"])
    return done.exit_code, done.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_explains_itself(command: object) -> None:
    done = CliRunner().invoke(import_module(command.module).app, ["--help"])  # type: ignore[attr-defined]  # a Command; parametrize knows no types
    assert done.exit_code == 0
    assert "Usage" in done.output
    # Of a part of `recoup` a shell could complete nothing.
    assert "completion" not in done.output


@pytest.mark.parametrize("name", [command.name for command in HERE])
def test_good_settings_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in GOOD.items():
        monkeypatch.setenv(variable, value)
    assert _check(name) == (0, "")


@pytest.mark.parametrize("name", NEEDS)
def test_all_missing_variables_are_named_at_once(name: str) -> None:
    status, said = _check(name)
    assert status == 2
    assert {line.partition(":")[0] for line in said.splitlines()} == NEEDS[name]


@pytest.mark.parametrize("name", NEEDS)
def test_wrong_values_get_a_line_each_and_are_not_repeated(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = set(GOOD) - {"RECOUP_API_KEY"}
    for variable in wrong:
        monkeypatch.setenv(variable, BAD)
    status, said = _check(name)
    named = [line.partition(":")[0] for line in said.splitlines()]
    assert status == 2
    assert NEEDS[name] <= set(named) <= set(GOOD)
    assert len(named) == len(set(named))
    assert BAD not in said
    assert "Traceback" not in said


def test_the_worker_names_its_missing_variables_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.cli.main", "work", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, "RECOUP_DATABASE_URL: Field required\nRECOUP_REDIS_URL: Field required\n")


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in {**GOOD, "RECOUP_SENTRY_DSN": "", "RECOUP_GATEWAY_PORT": ""}.items():
        monkeypatch.setenv(variable, value)
    assert _check("gateway") == (0, "")
