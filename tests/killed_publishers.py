"""Processes that publish and are killed, each before another of its operations on files."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from services.lab.publishing import Published, publish

# Audit events of the interpreter.
_OPERATIONS = {"open", "os.listdir", "os.scandir", "os.rename", "os.remove", "os.rmdir"}
_ROOT = Path(__file__).parents[1]


def killed_publishers(judged: Sequence[Published], before: Path, into: Path) -> list[Path]:
    """Copies of ``before``, whose draft of one pack is what is published; each as the process left it that was killed in it."""
    into.mkdir()
    (into / "judged").write_bytes(pickle.dumps(judged))
    subprocess.run([sys.executable, "-m", "tests.killed_publishers", str(before), str(into)], check=True, cwd=_ROOT)
    return sorted((path for path in into.iterdir() if path.is_dir()), key=lambda path: int(path.name))


def _main(before: Path, into: Path) -> None:
    judged = pickle.loads((into / "judged").read_bytes())
    step, status = 0, int(signal.SIGKILL)
    while status == signal.SIGKILL:
        folder = shutil.copytree(before, into / str(step))
        child = os.fork()
        if not child:
            _publish(judged, folder, step)
        _, status = os.waitpid(child, 0)
        step += 1
    if status:
        raise SystemExit(f"a publisher failed: {status}")
    shutil.rmtree(into / str(step - 1))


def _publish(judged: Sequence[Published], folder: Path, step: int) -> None:
    """Never returns."""
    left = step

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in _OPERATIONS and str(folder) in str(arguments[0]):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    (made_in,) = (folder / ".work").iterdir()
    publish(judged, made_in, folder)
    os._exit(0)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]))
