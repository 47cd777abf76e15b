"""Real servers for tests: one of each per test run, shared by all pytest-xdist workers, gone when the run ends.

A small process holds each server. It watches the process that owns the run (pytest itself, or xdist's controller) and stops the server when
that is gone, so a crashed worker neither leaves a server behind nor takes it away from the other workers.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from services.supervisor.embedded.kafka import Kafka
from services.supervisor.embedded.postgres import Postgres
from services.supervisor.embedded.redis import DATABASES, Redis
from services.supervisor.errors import MissingTool, StartFailed
from services.supervisor.file_lock import file_lock
from services.supervisor.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.supervisor.embedded.server import EmbeddedServer

__all__ = ["DATABASES", "ServerAddress", "TestRun", "free_port", "shared_server"]

ROOT = Path(__file__).resolve().parent.parent
# Kept between runs: fetching Kafka takes long.
KAFKA_CACHE = ROOT / ".recoup" / "kafka"
# Files that lie in memory, on Linux; so much must be free there and altogether.
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 4 << 30
READY_SECONDS = 420
WATCH_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class TestRun:
    """One invocation of pytest.

    Attributes:
        owner: pid of the process that lives as long as the run.
        worker: number of this xdist worker; 0 without xdist.
    """

    __test__ = False

    owner: int
    worker: int

    @classmethod
    def current(cls, worker_id: str) -> TestRun:
        """Of xdist's name for this worker: ``gw3``, or ``master`` where xdist is not used."""
        if worker_id == "master":
            return cls(owner=os.getpid(), worker=0)
        return cls(owner=os.getppid(), worker=int(worker_id.removeprefix("gw")))

    @property
    def folder(self) -> Path:
        started = int(psutil.Process(self.owner).create_time() * 1000)
        folder = Path(tempfile.gettempdir()) / f"recoup-tests-{self.owner}-{started}"
        folder.mkdir(mode=0o711, exist_ok=True)
        return folder


@dataclass(frozen=True, slots=True)
class ServerAddress:
    url: str
    pid: int


def shared_server(run: TestRun, name: str) -> ServerAddress:
    """The address of this run's server of that name, which the first one to ask starts.

    Raises:
        MissingTool: it needs a program that is not installed.
        StartFailed: it did not start.
    """
    answer = run.folder / f"{name}.json"
    with file_lock(run.folder / f"{name}.lock"):
        if not answer.exists():
            subprocess.run([sys.executable, "-m", "tests.servers", name, str(run.folder), str(run.owner)], cwd=ROOT, check=True)
            _await(answer)
    found = json.loads(answer.read_text())
    if "error" in found:
        raise (MissingTool if found["missing_tool"] else StartFailed)(found["error"])
    return ServerAddress(url=found["url"], pid=found["pid"])


def _await(answer: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not answer.exists():
        if time.monotonic() > deadline:
            raise StartFailed(f"{answer.stem} gave no answer; see {answer.with_suffix('.holder.log')}")
        time.sleep(0.05)


def _hold(name: str, folder: Path, owner: int) -> None:
    with _place(name, folder) as data:
        server = _server(name, data)
        try:
            server.start()
        except Exception as error:  # noqa: BLE001 # whatever it is, somebody waits for an answer
            _answer(folder, name, {"error": repr(error), "missing_tool": isinstance(error, MissingTool)})
            return
        _answer(folder, name, {"url": server.url, "pid": server.pid})
        while _lives(owner):
            time.sleep(WATCH_SECONDS)
        server.stop()
    (folder / f"{name}.json").unlink()
    if not list(folder.glob("*.json")):
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _place(name: str, folder: Path) -> Iterator[Path]:
    """Where a server keeps its data: PostgreSQL in memory where there is enough of it.

    Nearly every test makes a database and drops it, and on a disk it waits for that. What must survive the end of a process does so in
    memory, too, and the processes would refuse a server that is told not to wait (`refuse_unsafe_database`).
    """
    if name != "postgres" or not MEMORY.is_dir() or min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available) < MEMORY_BYTES:
        yield folder
        return
    data = MEMORY / folder.name
    data.mkdir(mode=0o711)
    try:
        yield data
    finally:
        shutil.rmtree(data, ignore_errors=True)


def _server(name: str, data: Path) -> EmbeddedServer:
    match name:
        case "postgres":
            return Postgres(data)
        case "redis":
            return Redis(data)
        case _:
            return Kafka(data, cache=KAFKA_CACHE)


def _answer(folder: Path, name: str, values: dict[str, object]) -> None:
    draft = folder / f".{name}.json"
    draft.write_text(json.dumps(values))
    draft.rename(folder / f"{name}.json")


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _become_daemon(log: Path) -> None:
    """Let the caller go on: it must have no child to wait for."""
    if os.fork():
        os._exit(0)
    os.setsid()
    with log.open("ab") as file, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def main() -> None:
    name, folder, owner = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    _become_daemon(folder / f"{name}.holder.log")
    _hold(name, folder, owner)


if __name__ == "__main__":
    main()
