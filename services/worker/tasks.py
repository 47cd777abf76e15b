"""The one task: an order to decide cases of an automation."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog

from shared.errors import InvariantBroken
from shared.taskqueue.app import DECIDE
from shared.telemetry import trace

if TYPE_CHECKING:
    from celery import Celery, Task

    from services.worker.service import Decider

log = structlog.get_logger()


# A file that stays away would have everything read again for each order.
RELOAD_SECONDS = 5.0


class PerProcess:
    """Makes the decider at first use, because connections, models and tokenizers do not survive a fork; and anew where models are gone."""

    def __init__(self, build: Callable[[], Decider]) -> None:
        self._build = build
        self._decider: Decider | None = None
        self._pid = 0
        self._reloaded = -math.inf

    def get(self) -> Decider:
        """Raises InvariantBroken where it was made before a fork."""
        if self._decider is None:
            self._decider, self._pid = self._build(), os.getpid()
        elif self._decider.is_outdated and time.monotonic() - self._reloaded > RELOAD_SECONDS:
            self._reloaded = time.monotonic()
            self._decider = self._rebuilt(self._decider)
        if self._pid != os.getpid():
            raise InvariantBroken("a decider crossed a fork", made_in=self._pid, used_in=os.getpid())
        return self._decider

    def _rebuilt(self, outdated: Decider) -> Decider:
        """The outdated one where the present models are not what they must be: what needs no model is decided all the same."""
        try:
            return self._build()
        except InvariantBroken as error:
            log.exception("models_not_reloaded", reason=error.message)
            return outdated


def register(app: Celery, build: Callable[[], Decider]) -> None:
    """Args: build: called in each process that carries out orders, once, and again where its models are gone."""
    deciders = PerProcess(build)

    def decide(task: Task[Any, Any], automation: str, ids: list[str]) -> None:
        trace.current.set(trace.continued(task.request.get("traceparent")))
        deciders.get().decide(automation, [UUID(case_id) for case_id in ids])

    app.task(name=DECIDE, bind=True, ignore_result=True)(decide)
