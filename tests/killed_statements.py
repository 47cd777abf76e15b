"""A process that is killed (kill -9) at each of its database statements in turn: before each one, before each commit and after it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

from sqlalchemy import Engine, Pool, event

from services.dispatcher import poison
from services.steward import outcomes
from shared.db import engine_for
from shared.settings import DatabaseSettings
from tests.servers import ROOT

if TYPE_CHECKING:
    from tests.conftest import Database


def _replay_poison() -> None:
    """As `recoup poison replay`."""
    with suppress(SystemExit):
        poison.app(["replay", "--tenant", "acme"])


def _apply_outcomes() -> None:
    """As the steward."""
    engine = engine_for(DatabaseSettings(), role="recoup_line", application="steward")
    outcomes.take_up_outcomes(engine)
    outcomes.apply_outcomes(engine, timedelta(days=30))


_WORK: dict[str, Callable[[], None]] = {"replay_poison": _replay_poison, "apply_outcomes": _apply_outcomes}


def killed(database: Database, work: str) -> Iterator[int]:
    """Ordinal of the statement at which it was killed, after each kill, until one run gets through."""
    environment = {"RECOUP_DATABASE_URL": database.app_url, "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.killed_statements", work]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for said in process.stdout:
            yield int(said)
            process.stdin.write("on\n")
            process.stdin.flush()
    assert process.returncode == 0


def _main(work: Callable[[], None]) -> None:
    for step in count():
        child = os.fork()
        if not child:
            _until(step, work)
        _, status = os.waitpid(child, 0)
        if status != signal.SIGKILL:
            raise SystemExit(status)
        print(step, flush=True)  # noqa: T201  # said to the test
        sys.stdin.readline()


def _until(step: int, work: Callable[[], None]) -> None:
    """Never returns."""
    left = step

    def kill(*_: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", kill)
    event.listen(Engine, "commit", kill)
    # When a connection comes back: what was committed is.
    event.listen(Pool, "reset", kill)
    # What it says would be taken for ours.
    os.dup2(2, 1)
    try:
        work()
    except BaseException:  # noqa: BLE001  # whatever it is, the parent's loop is not for this process
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    _main(_WORK[sys.argv[1]])
