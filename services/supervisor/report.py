"""What the user and other programs are told about a running line."""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from services.supervisor.service import Line


def ready_facts(line: Line) -> dict[str, object]:
    """Contents of the ready file. ``environment`` holds what a client process needs, secrets included."""
    pids = {server.name: server.pid for server in line.servers} | {process.service.name: process.pid for process in line.processes}
    ports = {server.name: server.port for server in line.servers} | {process.service.name: process.port for process in line.processes}
    return {
        "supervisor": os.getpid(),
        "urls": {process.service.name: process.url for process in line.processes},
        "ports": ports,
        "pids": pids,
        "logs": str(line.logs),
        "environment": line.connections.environment() | line.connections.administrative_environment(),
    }


def environment_script(line: Line) -> str:
    """For a shell in which the line is to be used: what `recoup keys` and `recoup migrate` need, and where the APIs listen."""
    urls = {f"RECOUP_{process.service.name.upper()}_URL": process.url for process in line.processes if process.service.is_api}
    variables = line.connections.environment() | line.connections.administrative_environment() | urls
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def write_ready_file(path: Path, facts: Mapping[str, object]) -> None:
    write_private_file(path, json.dumps(facts, indent=2))


def write_private_file(path: Path, text: str) -> None:
    """Whole or not at all, and readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def table(line: Line) -> Table:
    shown = Table("process", "where", "what", "pid", title="Recoup is up")
    for process in line.processes:
        shown.add_row(process.service.name, process.url, process.service.title, str(process.pid))
    for server in line.servers:
        shown.add_row(server.name, f"127.0.0.1:{server.port}", "embedded", str(server.pid), style="dim")
    return shown
