"""Becomes another program, which the kernel ends as soon as the parent ends.

Run as a script, standard library only: ``launcher.py PARENT_PID DEATH_SIGNAL UID GID PROGRAM ARGUMENT…`` (UID -1: stay who you are).
A script and not ``preexec_fn``, because code between fork and exec may deadlock where the parent has threads.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, death_signal, uid, gid = (int(argument) for argument in sys.argv[1:5])
    if uid >= 0:
        _become(uid, gid)
    if sys.platform == "linux":
        # After the change of user, which would clear it; survives the exec.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent ended before its child began")
    os.execv(sys.argv[5], sys.argv[5:])  # noqa: S606 # becoming that program is the purpose


def _become(uid: int, gid: int) -> None:
    os.setgroups([gid])
    os.setgid(gid)
    os.setuid(uid)


if __name__ == "__main__":
    main()
