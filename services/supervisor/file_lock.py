"""One process at a time."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING

from services.supervisor.errors import AlreadyRunning, StartFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Waits for ever; the kernel frees the lock when its holder ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """As `file_lock`, but refuses to wait.

    Raises:
        AlreadyRunning: another process holds it.
        StartFailed: there can be no such file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = path.open("a")
    except OSError as error:
        raise StartFailed(f"{path.parent} cannot be used: {error.strerror}; choose another --data-dir") from error
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunning(f"another `recoup up` works in {path.parent}", folder=str(path.parent)) from error
        yield
