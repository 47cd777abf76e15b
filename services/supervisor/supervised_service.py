"""One process of the line under supervision: started again whenever it ends or falls silent, later and later while it keeps ending."""

from __future__ import annotations

import http.client
import signal
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from services.supervisor.backoff import Backoff
from services.supervisor.ports import LOOPBACK
from services.supervisor.process import ChildProcess, Command

if TYPE_CHECKING:
    from pathlib import Path

    from services.supervisor.plan import Service
    from shared.clock import Clock

# Longer than the drain of any process (an in-flight batch, an open HTTP request).
DRAIN_SECONDS = 40.0
PROBE_SECONDS = 3.0
# Without an answer to /healthz for this long a process hangs (a library call that never returns) and is killed. Starting takes less.
SILENT_SECONDS = 90.0


class SupervisedService:
    """Args: host: the address it listens on."""

    def __init__(self, service: Service, port: int, command: Command, clock: Clock, host: str = LOOPBACK) -> None:
        self.service = service
        self.port = port
        self._command = command
        self._clock = clock
        self._host = LOOPBACK if host in {"0.0.0.0", "::"} else host  # noqa: S104 # asked on loopback where it listens on all
        self._child: ChildProcess | None = None
        self._backoff = Backoff()
        self._started_at = 0.0
        self._heard_at = 0.0
        self._due_at: float | None = None
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child and self._child.running else None

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self.port}"

    @property
    def log_file(self) -> Path:
        return self._command.log_file

    def start(self) -> None:
        self._started_at = self._heard_at = self._clock.monotonic()
        self._due_at = None
        self._child = ChildProcess(self._command)

    def ended(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._child.exit_code if self._child else None

    def ready(self) -> bool:
        return self._says_ok("/readyz")

    def listen(self) -> None:
        """Ask for a sign of life; may take `PROBE_SECONDS`, so it is called from a thread of its own."""
        if self._says_ok("/healthz"):
            self._heard_at = self._clock.monotonic()

    def _says_ok(self, path: str) -> bool:
        try:
            with closing(http.client.HTTPConnection(self._host, self.port, timeout=PROBE_SECONDS)) as connection:
                connection.request("GET", path)
                return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False

    def tend(self) -> str | None:
        """Notice an end, and start again when it is time; returns what happened, for people."""
        code, now = self.ended(), self._clock.monotonic()
        if code is None:
            return self._kill_if_silent(now)
        if self._due_at is None:
            return self._plan_restart(code, now)
        if now < self._due_at:
            return None
        self.start()
        self.restarts += 1
        return f"{self.service.name} started again (pid {self.pid})"

    def ask_to_stop(self) -> None:
        if self._child:
            self._child.send(signal.SIGTERM)

    def finish(self, timeout_seconds: float = DRAIN_SECONDS) -> None:
        """After `ask_to_stop`: wait, then kill."""
        if self._child:
            self._child.stop(signal.SIGTERM, timeout_seconds)
            self._child.kill_group()

    def log_tail(self) -> str:
        return self._child.log_tail() if self._child else ""

    def _kill_if_silent(self, now: float) -> str | None:
        if self._child is None or now - self._heard_at < SILENT_SECONDS:
            return None
        self._child.send(signal.SIGKILL)
        self._child.wait()
        return f"{self.service.name} gave no sign of life for {SILENT_SECONDS:g} s and was killed"

    def _plan_restart(self, code: int, now: float) -> str:
        assert self._child is not None
        self._child.kill_group()
        self._backoff = self._backoff.after(now - self._started_at)
        self._due_at = now + self._backoff.seconds
        return f"{self.service.name} {describe_exit(code)}; starting it again in {self._backoff.seconds:g} s (log: {self.log_file})"


def describe_exit(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def service_command(service: Service, environment: dict[str, str], logs: Path) -> Command:
    return Command(
        argv=(sys.executable, "-m", f"services.{service.name}.main"),
        log_file=logs / f"{service.name}.log",
        env=environment,
    )
