"""Starts `recoup up` as a user would, and ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# Long enough for the first fetch of a Kafka broker.
START_SECONDS = 300
STOP_SECONDS = 90


@dataclass(frozen=True, slots=True)
class RunningLine:
    """Where the processes are, and what a client's environment needs to reach the database."""

    urls: Mapping[str, str]
    environment: Mapping[str, str]
    pid: int


@contextmanager
def running(data_dir: Path, *, kafka: bool) -> Iterator[RunningLine]:
    """The whole line, ready; stopped when the block ends, however it ends."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(f"{data_dir} cannot be used: {error.strerror}", param_hint="--data-dir") from None
    ready_file = data_dir / "ready.json"
    ready_file.unlink(missing_ok=True)
    log = data_dir / "up.log"
    command = [sys.executable, "-m", "services.cli.main", "up", "--data-dir", str(data_dir), "--ready-file", str(ready_file)]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  # our own command line
            [*command, "--kafka" if kafka else "--no-kafka"], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        facts = _await_ready(process, ready_file, log)
        yield RunningLine(facts["urls"], facts["environment"], process.pid)
    finally:
        _stop(process)


def client_environment(line: RunningLine) -> dict[str, str]:
    """Of administrative commands that work on the running line."""
    return {**os.environ, **line.environment}  # noqa: TID251  # passed on to a child, not read


def _await_ready(process: subprocess.Popen[bytes], ready_file: Path, log: Path) -> dict[str, dict[str, str]]:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if ready_file.exists():
            facts: dict[str, dict[str, str]] = json.loads(ready_file.read_text(encoding="utf-8"))
            return facts
        if process.poll() is not None:
            break
        time.sleep(0.1)
    typer.echo(log.read_text(encoding="utf-8", errors="replace")[-4000:], err=True)
    typer.echo(f"the line did not start; see {log.parent / 'logs'}", err=True)
    raise typer.Exit(1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # Its children follow: each asks the kernel to die with it.
            process.kill()
            process.wait()
