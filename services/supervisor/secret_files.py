"""Secrets that one machine makes for itself, each in a file that only its owner may read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def url_safe_password() -> str:
    return secrets.token_urlsafe(32)


class SecretFiles:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str, create: Callable[[], str] = url_safe_password) -> str:
        """The secret of that name; made once, kept for ever."""
        path = self._folder / name
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _write_once(path, create())
        return path.read_text().strip()


def _write_once(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    try:
        os.link(draft, path)  # unlike a rename, the first of two processes wins
    except FileExistsError:
        pass
    finally:
        draft.unlink()
