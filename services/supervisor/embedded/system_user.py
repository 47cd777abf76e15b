"""The system user for PostgreSQL, which refuses to be root. Only where we are root.

The wheel has functions for this, but importing it makes folders and warns where XDG_RUNTIME_DIR is not set, and they open more than needed.
"""

from __future__ import annotations

import pwd
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING

from services.supervisor.errors import MissingTool, StartFailed

if TYPE_CHECKING:
    from pathlib import Path

NAME = "pgserver"
ENTER = stat.S_IXOTH
READ = stat.S_IROTH


def ensure_user(name: str = NAME) -> tuple[int, int]:
    """Uid and gid of that user, who is created where missing."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        _create(name)
        entry = pwd.getpwnam(name)
    return entry.pw_uid, entry.pw_gid


def let_others_reach(folder: Path) -> None:
    """Others may pass through this folder and those above it, without seeing what else is in there."""
    for step in (folder, *folder.parents):
        _allow(step, ENTER)


def let_others_run(installation: Path) -> None:
    """Others may read and run everything below."""
    let_others_reach(installation)
    for path in (installation, *installation.rglob("*")):
        is_program = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
        _allow(path, READ | ENTER if is_program else READ)


def _allow(path: Path, flags: int) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & flags != flags:
        path.chmod(mode | flags)


def _create(name: str) -> None:
    useradd = shutil.which("useradd")
    if useradd is None:
        raise MissingTool("PostgreSQL refuses to run as root, and there is no useradd to make a user for it: start recoup as another user")
    done = subprocess.run(  # noqa: S603 # found on PATH
        [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name], capture_output=True, text=True, check=False
    )
    if done.returncode not in {0, 9}:  # 9: another process was quicker
        raise StartFailed(f"the system user {name} could not be made: {done.stderr.strip()}")
