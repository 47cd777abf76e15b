"""A running `recoup up` with its own databases and, where wanted, its own Kafka broker; processes can be killed and come back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
from sqlalchemy import make_url

from services.supervisor import launcher
from services.supervisor.embedded.kafka_jars import KAFKA_VERSION
from services.supervisor.plan import SERVICES
from services.supervisor.ports import free_port
from services.supervisor.settings import inherited_environment
from tests import local_http
from tests.servers import KAFKA_CACHE, ROOT

START_SECONDS = 180.0
STOP_SECONDS = 90.0
# Shorter than in production, so that a test does not wait for what only takes time.
HASTE = {"RECOUP_WORKER_LEASE": "PT8S", "RECOUP_STEWARD_GRACE": "PT3S"}


@dataclass(slots=True)
class ReadyLine:
    data: Path
    process: subprocess.Popen[bytes]

    @property
    def facts(self) -> dict[str, Any]:
        """As the supervisor says now; rewritten by it after every restart."""
        facts: dict[str, Any] = json.loads((self.data / "ready.json").read_text(encoding="utf-8"))
        return facts

    def url(self, name: str) -> str:
        return str(self.facts["urls"][name])

    def pid(self, name: str) -> int:
        return int(self.facts["pids"][name])

    @property
    def environment(self) -> dict[str, str]:
        """Of administrative commands."""
        return {**inherited_environment(), **self.facts["environment"]}

    def recoup(self, *arguments: str) -> str:
        """Run the command as a user would; returns what it printed."""
        command = [sys.executable, "-m", "services.cli.main", *arguments]
        return subprocess.run(command, env=self.environment, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60).stdout

    @contextmanager
    def database(self) -> Iterator[psycopg.Connection]:
        """As the superuser, who sees past row-level security: the checker trusts no role of ours."""
        url = make_url(self.facts["environment"]["RECOUP_DATABASE_ADMIN_URL"]).set(drivername="postgresql")
        with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
            yield connection

    def kill(self, name: str) -> None:
        """SIGKILL a process of the line or a server; the supervisor brings it back."""
        os.kill(self.pid(name), signal.SIGKILL)

    def quit_postgres(self) -> None:
        """SIGQUIT: PostgreSQL's immediate shutdown, which leaves recovery to the next start."""
        os.kill(self.pid("postgres"), signal.SIGQUIT)

    def kill_worker_child(self) -> None:
        """One of the processes that decide, not the one that hands out orders."""
        children = [child for child in psutil.Process(self.pid("worker")).children(recursive=True) if child.children() == []]
        os.kill(children[-1].pid, signal.SIGKILL)

    def await_ready(self, seconds: float = 90.0) -> None:
        """Every process answers that it is ready."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if all(_ready(url) for url in self.facts["urls"].values()):
                return
            time.sleep(0.2)
        raise TimeoutError(
            f"not ready: {[name for name, url in self.facts['urls'].items() if not _ready(url)]}; logs in {self.facts['logs']}"
        )


def _ready(url: str) -> bool:
    try:
        return local_http.get(f"{url}/readyz", timeout=3).status_code == 200
    except httpx.TransportError:
        return False


def _own_ports() -> dict[str, str]:
    """Of every process and server: two lines that start at once would both find the default ports free."""
    names = [service.name for service in SERVICES] + ["postgres", "redis", "kafka"]
    return {f"RECOUP_{name.upper()}_PORT": str(free_port()) for name in names}


@contextmanager
def running_line(data: Path, *, kafka: bool, packages: Path | None = None, packs: Path | None = None) -> Iterator[ReadyLine]:
    """A line of one's own.

    Args:
        data: an empty folder that other users may enter, because PostgreSQL does not run as root.
        packages: folder of distributions that are installed beside Recoup, such as one that publishes an automation.
        packs: folder of packs of models that declare automations.
    """
    ready_file = data / "ready.json"
    if kafka:
        (data / "kafka").mkdir()
        KAFKA_CACHE.joinpath(KAFKA_VERSION).mkdir(parents=True, exist_ok=True)
        (data / "kafka" / KAFKA_VERSION).symlink_to(KAFKA_CACHE / KAFKA_VERSION)
    # A test run that is cut off ends no fixture; the kernel ends the line for it.
    ends_with_us = [sys.executable, launcher.__file__, str(os.getpid()), str(int(signal.SIGTERM)), "-1", "-1"]
    command = [sys.executable, "-m", "services.cli.main", "up", "--data-dir", str(data), "--ready-file", str(ready_file)]
    beside = {"PYTHONPATH": packages, "RECOUP_PACKS": packs}
    with (data / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [*ends_with_us, *command, "--kafka" if kafka else "--no-kafka"],
            cwd=ROOT,
            env={**inherited_environment(), **HASTE, **_own_ports(), **{name: str(path) for name, path in beside.items() if path}},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _await_file(process, ready_file, data / "up.log")
        yield ReadyLine(data, process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_file(process: subprocess.Popen[bytes], ready_file: Path, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready_file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the line did not start:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.1)
