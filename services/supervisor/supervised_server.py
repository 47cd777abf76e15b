"""Brings an embedded server back after it ended, step by step, so that nothing else waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.supervisor.backoff import Backoff
from services.supervisor.errors import StartFailed

if TYPE_CHECKING:
    from services.supervisor.embedded.server import EmbeddedServer
    from shared.clock import Clock


class SupervisedServer:
    """Call `tend` often."""

    def __init__(self, server: EmbeddedServer, clock: Clock) -> None:
        self._server = server
        self._clock = clock
        self._backoff = Backoff()
        self._due_at = 0.0
        self._reviving = False

    def tend(self) -> str | None:
        """What happened, for people."""
        try:
            return self._finish() if self._reviving else self._begin()
        except StartFailed as error:
            return self._postpone(error)

    def _begin(self) -> str | None:
        if self._server.running or self._clock.monotonic() < self._due_at:
            return None
        self._server.begin()
        self._reviving = True
        return f"{self._server.name} ended; starting it again (log: {self._server.log_file})"

    def _finish(self) -> str | None:
        if not self._server.advance():
            return None
        self._reviving = False
        self._backoff = Backoff()
        return f"{self._server.name} runs again (pid {self._server.pid})"

    def _postpone(self, error: StartFailed) -> str:
        self._reviving = False
        self._backoff = self._backoff.after(ran_seconds=0)
        self._due_at = self._clock.monotonic() + self._backoff.seconds
        return f"{error.message}\ntrying again in {self._backoff.seconds:g} s"
