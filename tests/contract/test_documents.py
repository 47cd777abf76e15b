"""README and docs against the product: every command, option, target, path, link, variable and endpoint that they name exists."""

from __future__ import annotations

import json
import re
import shlex
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from services.cli.main import COMMANDS, app
from services.gateway.main import build
from services.gateway.settings import GatewaySettings
from shared.clock import SystemClock
from shared.db import engine_for
from shared.eventlog.memory import MemoryEventLog
from shared.security.vault import Vault, new_vault_key
from shared.settings import DatabaseSettings, SecretSettings

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Of receivers of callbacks, not ours.
ELSEWHERE = {("POST", "/hooks/recoup")}
each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)


def commands_of(text: str) -> list[list[str]]:
    """Words after ``recoup`` in code, where it stands as a command: not `kubectl -n recoup` and the like."""
    joined = re.sub(r"\\\n\s*", " ", text)
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", joined, re.MULTILINE | re.DOTALL)
    code = [line for language, block in blocks if language in {"", "sh", "bash"} for line in block.splitlines()]
    code += re.findall(r"`([^`\n]+)`", joined)
    found = [match for line in code for match in re.findall(r"(?:^|\$\(|[;&|] *|-- |[A-Z_]+=\S* |exec ops )recoup ([^|;&)`]+)", line)]
    return [shlex.split(words.split(" #")[0]) for words in found]


def problems(words: list[str]) -> list[str]:
    if words[:1] and words[0].startswith("-"):
        # Of `recoup` itself.
        return [f"no option {option} in {words}" for option in set(words) - _options(typer.main.get_command(app)) - {"--help"}]
    command = next((command for command in COMMANDS if words[:1] == [command.name]), None)
    if command is None:
        return [] if words[:1] in ([], ["<process>"]) else [f"no command {words}"]
    known, rest = typer.main.get_command(import_module(command.module).app), words[1:]
    options = _options(known)
    while rest and not rest[0].startswith("-") and (commands := getattr(known, "commands", None)) is not None:
        if rest[0] not in commands:
            return [f"no command {words}"]
        known, rest = commands[rest[0]], rest[1:]
        options |= _options(known)
    given = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
    return [f"no option {option} in {words}" for option in given - options - {"--help"}]


def _options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


@cache
def endpoints() -> frozenset[tuple[str, str]]:
    """(method, path with ``{}`` for what varies) of all three APIs."""
    documents = [
        json.loads(file.read_text(encoding="utf-8")) for file in (ROOT / "tests" / "contract" / "snapshots").glob("*.openapi.json")
    ]
    database = DatabaseSettings.model_validate({"url": "postgresql+psycopg://recoup_app:x@127.0.0.1/recoup"})
    engine = engine_for(database, role="recoup_api", application="t")
    vault = Vault(SecretSettings.model_validate({"secret_key": new_vault_key()}))
    documents.append(build(GatewaySettings(), engine, vault, MemoryEventLog(), SystemClock()).openapi())
    return frozenset(
        (method.upper(), _shape(path)) for document in documents for path, methods in document["paths"].items() for method in methods
    )


def _shape(path: str) -> str:
    """Braces, shell variables and ellipses stand for one segment each."""
    segments = path.partition("?")[0].rstrip("/.,:").split("/")
    return "/".join("{}" if re.search(r"[{$…<]", segment) else segment for segment in segments)


def _is_known(method: str, path: str) -> bool:
    shape = _shape(path)
    literal = [known.split("/") for kind, known in endpoints() if kind == method or not method]
    # An example may name what varies: /v1/automations/claims.
    return any(len(k) == len(s) and all(a in {"{}", b} for a, b in zip(k, s, strict=True)) for k in literal for s in [shape.split("/")])


@each_document
def test_every_command_and_option_exists(path: Path) -> None:
    assert [problem for words in commands_of(path.read_text(encoding="utf-8")) for problem in problems(words)] == []


def test_a_command_or_option_that_there_is_not_would_be_found() -> None:
    block = "```bash\nrecoup keys frobnicate\nsource env && recoup up --colour red\n```\n"
    text = f"{block}and `recoup fly` or `recoup --age`, not `kubectl -n recoup get pods`"
    found = [problem for words in commands_of(text) for problem in problems(words)]
    assert [problem.split()[:3] for problem in found] == [
        ["no", "command", "['keys',"],
        ["no", "option", "--colour"],
        ["no", "command", "['fly']"],
        ["no", "option", "--age"],
    ]


@each_document
def test_every_target_of_make_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))
    assert named <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@each_document
def test_every_link_and_path_leads_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", text):
        if not target.startswith("http"):
            found = path.parent / target if target else path
            assert found.exists(), target
            if anchor:
                assert anchor in {_anchor(title) for title in re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)}
    for name in re.findall(r"`((?:services|shared|tests|docs|k8s|docker|migrations)/[\w./*-]+)`", text):
        assert any(ROOT.glob(name.rstrip("/"))), name


def _anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")


@each_document
def test_every_endpoint_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"\b(GET|POST|PATCH|PUT|DELETE) (/[\w/{}$…-]+)", text)) - ELSEWHERE
    named |= {("", found) for found in re.findall(r"(?:\$OPS|\$ROI|\$RECOUP_\w+_URL|\{URL\})(/v1/[\w/{}$…-]+)", text)}
    assert {(method, found) for method, found in named if not _is_known(method, found)} == set()
