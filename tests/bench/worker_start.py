"""Starts as a worker does: imports in a parent, forks, and in the child makes the models and decides. Prints what that took as JSON.

`python -m tests.bench.worker_start`. Needs no database: what is measured is the child's own start and size.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from pathlib import Path


def _decide() -> dict[str, float]:
    from services.worker.runtime.build import build_cascades  # noqa: PLC0415 - the parent has imported it
    from services.worker.tiers import CaseInput  # noqa: PLC0415 - as above

    events = json.loads(sys.stdin.read())
    started = time.perf_counter()
    cascades = build_cascades()
    first = {name: cascades[name].automation.data_model.model_validate(found[0]) for name, found in events.items()}
    for name, data in first.items():
        cascades[name].decide([CaseInput(uuid.uuid4(), data)])
    cold_start = time.perf_counter() - started
    for name, found in events.items():
        model = cascades[name].automation.data_model
        for data in found:
            cascades[name].decide([CaseInput(uuid.uuid4(), model.model_validate(data))])
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return {"cold_start_s": cold_start, "worker_rss_mb": resident / 1024}


def main() -> None:
    started = time.perf_counter()
    import services.worker.process  # noqa: F401, PLC0415 - timed

    imported = time.perf_counter() - started
    child = os.fork()
    if child == 0:
        sys.stdout.write(json.dumps({**_decide(), "import_s": imported}))
        sys.stdout.flush()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
