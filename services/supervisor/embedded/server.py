"""What the embedded servers have in common: one child process over one data directory, ready when it answers."""

from __future__ import annotations

import signal
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from services.supervisor.errors import StartFailed
from services.supervisor.process import ChildProcess, Command

if TYPE_CHECKING:
    from pathlib import Path

POLL_SECONDS = 0.05


class EmbeddedServer(ABC):
    """A real server on 127.0.0.1. `start` and `stop` may be called again and again; the port and the data stay the same.

    Args:
        data: everything the server keeps lies below; logs in ``data/logs``, passwords in ``data/secrets``.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    forced_stop_signal: ClassVar[signal.Signals] = signal.SIGKILL
    stop_seconds: ClassVar[float] = 30
    start_seconds: ClassVar[float] = 60

    def __init__(self, data: Path, port: int) -> None:
        self.data = data.resolve()
        self.port = port
        self._child: ChildProcess | None = None
        self._deadline = 0.0

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect, with user and password where it has them."""

    @property
    def log_file(self) -> Path:
        return self.data / "logs" / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """The process to signal, or None while it does not run."""
        return self._child.pid if self._child and self._child.running else None

    @property
    def running(self) -> bool:
        return self.pid is not None

    def start(self) -> None:
        """Returns once it answers; does nothing where it runs already.

        Raises:
            StartFailed: with the end of its log.
            MissingTool: a program that it needs is not installed.
        """
        if self.running:
            return
        self.begin()
        while not self.advance():
            time.sleep(POLL_SECONDS)

    def begin(self) -> None:
        """Start without waiting; `advance` tells when it answers.

        Raises:
            StartFailed, MissingTool: as `start`.
        """
        self._deadline = time.monotonic() + self.start_seconds
        self._child = ChildProcess(self._prepare())

    def advance(self) -> bool:
        """True once it answers.

        Raises:
            StartFailed: as `start`.
        """
        assert self._child is not None
        if self._answers(self._child):
            return True
        self._child = self._still_starting(self._child)
        return False

    def stop(self) -> None:
        if self._child:
            self._child.stop(self.stop_signal, self.stop_seconds, self.forced_stop_signal)

    def kill(self) -> None:
        """End it as a crash would (kill -9)."""
        if self._child:
            self._child.send(signal.SIGKILL)
            self._child.wait()

    def _still_starting(self, child: ChildProcess) -> ChildProcess:
        late = time.monotonic() > self._deadline
        if child.running and not late:
            return child
        if not late and self._is_passing(child.log_tail()):
            return ChildProcess(child.command)
        if child.running:
            child.stop(self.forced_stop_signal, self.stop_seconds)
        what = f"ended with code {child.exit_code}" if not late else f"did not answer within {self.start_seconds:g} s"
        raise StartFailed(f"{self.name} {what}; the end of {self.log_file}:\n{child.log_tail()}", server=self.name)

    @abstractmethod
    def _prepare(self) -> Command:
        """Make the data directory and the configuration."""

    @abstractmethod
    def _answers(self, child: ChildProcess) -> bool: ...

    def _is_passing(self, _log: str) -> bool:
        """True where a failed start will succeed in a moment, as when the remains of a killed predecessor are about to go."""
        return False
