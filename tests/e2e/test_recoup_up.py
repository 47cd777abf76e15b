"""`recoup up` from the outside: the whole line as a user starts it, and as it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from services.supervisor.plan import SERVICES
from services.supervisor.settings import inherited_environment
from tests.patience import eventually
from tests.servers import ROOT, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow]

Facts = dict[str, Any]


class RunningLine:
    def __init__(self, supervisor: subprocess.Popen[bytes], ready_file: Path) -> None:
        self.supervisor = supervisor
        self._ready_file = ready_file

    @property
    def facts(self) -> Facts:
        facts: Facts = json.loads(self._ready_file.read_text())
        return facts

    def everything(self) -> list[psutil.Process]:
        return psutil.Process(self.supervisor.pid).children(recursive=True)


@contextmanager
def _recoup_up(folder: Path) -> Iterator[RunningLine]:
    """Ends it with SIGTERM, if it still runs."""
    ready_file, output = folder / "ready.json", folder / "output.log"
    arguments = ("--data-dir", str(folder / "data"), "--ready-file", str(ready_file), "--no-kafka", "--workers", "1")
    with output.open("wb") as file:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "services.cli.main", "up", *arguments], cwd=ROOT, stdout=file, stderr=file, env=_environment()
        )
    try:
        eventually(lambda: ready_file.exists() or supervisor.poll() is not None, 180)
        assert ready_file.exists(), output.read_text()
        yield RunningLine(supervisor, ready_file)
    finally:
        supervisor.send_signal(signal.SIGTERM)
        supervisor.wait(120)


def _environment() -> dict[str, str]:
    given = {name: value for name, value in inherited_environment().items() if not name.startswith("RECOUP_")}
    names = ["RECOUP_POSTGRES_PORT", "RECOUP_REDIS_PORT", *(service.port_variable for service in SERVICES)]
    return given | {name: str(free_port()) for name in names}


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _came_back(line: RunningLine, before: Facts, name: str) -> bool:
    return line.facts["pids"][name] not in {None, before["pids"][name]} and _answers(before["urls"][name])


def _all_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def test_every_process_is_ready_and_a_killed_one_comes_back(tmp_path: Path) -> None:
    with _recoup_up(tmp_path) as line:
        facts = line.facts
        assert set(facts["urls"]) == {service.name for service in SERVICES if not service.needs_kafka}
        assert all(_answers(url) for url in facts["urls"].values())
        for name in ("gateway", "worker"):
            os.kill(facts["pids"][name], signal.SIGKILL)
        for name in ("gateway", "worker"):
            eventually(partial(_came_back, line, facts, name))
        remains = line.everything()
        line.supervisor.send_signal(signal.SIGTERM)
        assert line.supervisor.wait(120) == 0
        _all_gone(remains)


def test_a_killed_supervisor_leaves_nothing_behind_and_the_next_one_starts_on_the_same_data(tmp_path: Path) -> None:
    with _recoup_up(tmp_path) as line:
        remains = line.everything()
        assert len(remains) >= 8
        line.supervisor.kill()
        line.supervisor.wait()
        _all_gone(remains)
    (tmp_path / "ready.json").unlink()
    with _recoup_up(tmp_path) as line:
        assert all(_answers(url) for url in line.facts["urls"].values())
