"""One process under supervision: real children, real signals, real ports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from services.supervisor.embedded.redis import Redis
from services.supervisor.errors import AlreadyRunning
from services.supervisor.file_lock import file_lock, only_one
from services.supervisor.plan import Service
from services.supervisor.process import ChildProcess, Command
from services.supervisor.report import write_ready_file
from services.supervisor.secret_files import SecretFiles
from services.supervisor.supervised_server import SupervisedServer
from services.supervisor.supervised_service import SupervisedService
from shared.clock import SystemClock
from tests.patience import eventually
from tests.servers import ROOT, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

# Answers as every process does, and has a child of its own as the worker does.
PROGRAM = textwrap.dedent("""\
    import http.server, subprocess, sys
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path in {"/readyz", "/healthz"} else 404)
            self.end_headers()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print("child", child.pid, flush=True)
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
    """)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[SupervisedService]:
    port = free_port()
    command = Command(argv=(sys.executable, "-c", PROGRAM, str(port)), log_file=tmp_path / "example.log")
    process = SupervisedService(Service("example", "an example", port), port, command, SystemClock())
    process.start()
    eventually(process.ready)
    yield process
    process.finish(timeout_seconds=5)


def _tend_until_ready(process: SupervisedService) -> list[str]:
    said: list[str] = []

    def ready() -> bool:
        said.extend(filter(None, [process.tend()]))
        return process.pid is not None and process.ready()

    eventually(ready)
    return said


def _grandchild(process: SupervisedService) -> psutil.Process:
    (line,) = [line for line in process.log_tail().splitlines() if line.startswith("child ")]
    return psutil.Process(int(line.split()[1]))


def test_a_process_that_is_killed_is_started_again(process: SupervisedService) -> None:
    before = process.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    eventually(lambda: process.pid is None)
    said = _tend_until_ready(process)
    assert process.pid != before
    assert process.restarts == 1
    assert "SIGKILL" in said[0]


def test_what_a_killed_process_leaves_behind_is_ended_before_it_starts_again(process: SupervisedService) -> None:
    grandchild = _grandchild(process)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: process.pid is None)
    process.tend()
    eventually(lambda: not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE)


def test_a_process_that_hangs_is_killed_and_started_again(process: SupervisedService, monkeypatch: pytest.MonkeyPatch) -> None:
    process.listen()
    assert process.tend() is None
    monkeypatch.setattr("services.supervisor.supervised_service.SILENT_SECONDS", 1.0)
    monkeypatch.setattr("services.supervisor.supervised_service.PROBE_SECONDS", 0.2)
    before = process.pid
    assert before is not None
    os.kill(before, signal.SIGSTOP)
    time.sleep(1.1)
    process.listen()
    assert "no sign of life" in (process.tend() or "")
    _tend_until_ready(process)
    assert process.pid != before


def test_a_process_that_ignores_the_polite_signal_is_killed(tmp_path: Path) -> None:
    program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    child = ChildProcess(Command(argv=(sys.executable, "-c", program), log_file=tmp_path / "deaf.log"))
    eventually(lambda: "deaf" in child.log())
    assert child.stop(signal.SIGTERM, timeout_seconds=0.3) == -signal.SIGKILL


def test_a_process_ends_with_its_parent_even_when_that_is_killed(tmp_path: Path) -> None:
    program = textwrap.dedent(f"""\
        import sys, time
        from pathlib import Path
        from services.supervisor.process import ChildProcess, Command
        child = ChildProcess(Command(argv=(sys.executable, "-c", "import time; time.sleep(600)"), log_file=Path({str(tmp_path / "log")!r})))
        print(child.pid, flush=True)
        time.sleep(600)
        """)
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_the_log_of_a_child_begins_with_its_own_start(tmp_path: Path) -> None:
    for text in ("first", "second"):
        child = ChildProcess(Command(argv=(sys.executable, "-c", f"print({text!r})"), log_file=tmp_path / "log"))
        assert child.wait(20) == 0
    assert child.log_tail() == "second"
    assert (tmp_path / "log").read_text() == "first\nsecond\n"


def test_a_secret_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    secret = SecretFiles(tmp_path / "secrets").get("key")
    assert SecretFiles(tmp_path / "secrets").get("key") == secret
    assert len(secret) >= 32
    assert (tmp_path / "secrets" / "key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "secrets").iterdir()] == ["key"]


def test_the_ready_file_is_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    write_ready_file(path, {"urls": {"gateway": "http://127.0.0.1:8080"}})
    assert json.loads(path.read_text()) == {"urls": {"gateway": "http://127.0.0.1:8080"}}
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_supervisors_do_not_work_in_one_data_directory(tmp_path: Path) -> None:
    with only_one(tmp_path / "lock"), pytest.raises(AlreadyRunning), only_one(tmp_path / "lock"):
        pass
    with file_lock(tmp_path / "lock"):
        pass


def _supervisor(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.supervisor.main", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


def test_check_validates_and_exits() -> None:
    done = _supervisor("--check")
    assert (done.returncode, done.stdout) == (0, "settings are valid\n")


def test_an_unknown_process_is_refused_by_name() -> None:
    done = _supervisor("--only", "nonsense")
    assert done.returncode == 1
    assert "no such process: nonsense" in done.stdout


def test_a_server_that_is_killed_is_started_again_while_others_are_tended(tmp_path: Path) -> None:
    server = Redis(tmp_path)
    server.start()
    supervised = SupervisedServer(server, SystemClock())
    assert supervised.tend() is None
    server.kill()
    said: list[str] = []

    def runs_again() -> bool:
        said.extend(filter(None, [supervised.tend()]))
        return len(said) == 2

    eventually(runs_again)
    assert server.running
    assert "runs again" in said[1]
    server.stop()
