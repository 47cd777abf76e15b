"""CPU time of this process and of everything that it has started, as the operating system counts it, and a thread that reports it."""

from __future__ import annotations

import os
import resource
import time
from collections import defaultdict
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

import structlog

from services.worker import repository
from shared.db import unit_of_work
from shared.errors import Retryable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

log = structlog.get_logger()

_PROC: Final = Path("/proc")
_STOP_SECONDS: Final = 5.0


def tree_cpu_ns() -> int:
    """Nanoseconds of this process, of its children that have ended, and of those that live, with theirs.

    Start-up and idling are in it. Where there is no `/proc`, living children are counted when they have ended.
    """
    # What has ended first: a child that ends in between is missed for a moment, and not counted twice.
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time_ns() + round((ended.ru_utime + ended.ru_stime) * 1e9) + _living_ns()


def _living_ns() -> int:
    tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    parents: dict[int, list[int]] = defaultdict(list)
    ticks: dict[int, int] = {}
    for pid, parent, spent in _processes():
        parents[parent].append(pid)
        ticks[pid] = spent
    waiting, total = list(parents[os.getpid()]), 0
    while waiting:
        pid = waiting.pop()
        total += ticks[pid]
        waiting += parents[pid]
    return total * tick


def _processes() -> Iterator[tuple[int, int, int]]:
    """Process, parent, and clock ticks of it and of its children that have ended: fields 4 and 14 to 17 of proc(5)'s stat."""
    for folder in _PROC.glob("[0-9]*"):
        # It may end while it is looked at.
        with suppress(OSError, ValueError, IndexError):
            # The name may hold blanks and parentheses.
            fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            yield int(folder.name), int(fields[1]), sum(int(field) for field in fields[11:15])


class Reporter:
    """Reports what was spent since the last report, every period and once more at the end.

    Args:
        engine: of this process, not of its children.
    """

    def __init__(self, engine: Engine, period: timedelta) -> None:
        self._engine = engine
        self._period = period.total_seconds()
        self._reported = 0
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="cpu-reporter", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(_STOP_SECONDS)
        self.report()

    def report(self) -> None:
        """Where the database is away, the next report has it all."""
        total = tree_cpu_ns()
        if total <= self._reported:
            return
        try:
            with unit_of_work(self._engine) as connection:
                repository.record_spent(connection, total - self._reported)
        except Retryable as away:
            log.warning("cpu_not_reported", reason=away.code)
        else:
            self._reported = total

    def _run(self) -> None:
        while not self._stopped.wait(self._period):
            self.report()
