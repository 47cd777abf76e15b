"""How long a test waits for what must happen, where no time is promised.

A limit here only ends a test of something that hangs. It is far from what is usual, because on two busy processors a process may
take half a minute to start; where a time is promised to users, the test that holds it says so itself.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HANG_SECONDS = 120.0


def eventually(true: Callable[[], object], seconds: float = HANG_SECONDS, *, why: Callable[[], str] = lambda: "") -> None:
    """Args: why: asked for what is known once the time is up."""
    deadline = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        if true():
            return
        assert time.monotonic() < deadline, f"it did not come true in {seconds:g} s; {why()}"
        # Whoever asks all the time takes the processor from what is to happen.
        time.sleep(max(0.02, time.monotonic() - asked))
