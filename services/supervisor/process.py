"""One child process: in its own session, logging to a file, and never outliving its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from services.supervisor import launcher

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run.

    Attributes:
        argv: the first element is the program's absolute path.
        log_file: stdout and stderr are appended here.
        env: the whole environment, or None to inherit the parent's.
        run_as: uid and gid to change to (needs root), or None to stay.
        death_signal: what the kernel sends when the parent ends, however it ends. Linux only.
    """

    argv: tuple[str, ...]
    log_file: Path
    cwd: Path | None = None
    env: Mapping[str, str] | None = None
    run_as: tuple[int, int] | None = None
    death_signal: signal.Signals = signal.SIGKILL


class ChildProcess:
    """Start it from a thread that lives as long as the child shall: the kernel counts the end of that thread as the parent's end."""

    def __init__(self, command: Command) -> None:
        self.command = command
        command.log_file.parent.mkdir(parents=True, exist_ok=True)
        with command.log_file.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 # the arguments are ours
                [*_launch(command), *command.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=command.cwd,
                env=command.env,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number where a signal ended it."""
        return self._process.poll()

    @property
    def running(self) -> bool:
        return self.exit_code is None

    def wait(self, timeout_seconds: float | None = None) -> int | None:
        """The exit code, or None when it still runs after that time."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_seconds)
        return None

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop(self, polite: signal.Signals, timeout_seconds: float, forced: signal.Signals = signal.SIGKILL) -> int:
        """Ask politely, wait, then insist; returns the exit code."""
        self.send(polite)
        if self.wait(timeout_seconds) is None:
            self.send(forced)
            if self.wait(timeout_seconds) is None:
                self.send(signal.SIGKILL)
        return self._process.wait()

    def kill_group(self) -> None:
        """End what a dead child left behind in its session."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def log(self) -> str:
        """What this child has logged since it was started."""
        with self.command.log_file.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def log_tail(self, lines: int = 20) -> str:
        return "\n".join(self.log().splitlines()[-lines:])


def _launch(command: Command) -> list[str]:
    uid, gid = command.run_as or (-1, -1)
    script = str(Path(launcher.__file__).resolve())
    return [sys.executable, "-I", "-S", script, *(str(number) for number in (os.getpid(), int(command.death_signal), uid, gid))]
