"""Processes and commands start without libraries that they need rarely or never: every import is waited for, and stays in memory."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.servers import ROOT

# One process imports all in this order, the light ones first, and says after each what is there: in processes of their own they would
# take some ten seconds to say the same.
IN_ORDER = (
    "services.cli.main",
    "services.supervisor.main",
    "services.cli.importing",
    "services.courier.main",
    "services.gateway.main",
    "services.ops.main",
    "services.dispatcher.main",
    "services.steward.main",
    "services.roi.main",
    "services.worker.process",
)
# Not even where others are: reports of errors, files and pages, statistics of the lab, and what only trains or tests.
NOWHERE = (
    "sentry_sdk",
    "urllib3",
    "reportlab",
    "xlsxwriter",
    "scipy.stats",
    "sklearn",
    "pandas",
    "pyarrow",
    "onnx",
    "transformers",
    "hypothesis",
    "pytest",
)
# And those before these not.
NOT_BEFORE = {
    "celery": "services.dispatcher.main",
    "numpy": "services.steward.main",
    "scipy": "services.steward.main",
    "shared.automations.pack": "services.worker.process",
}

PROGRAM = """
import json, sys
from importlib import import_module

there = {}
for name in sys.argv[1:]:
    import_module(name)
    there[name] = sorted(sys.modules)
json.dump(there, sys.stdout)
"""


def _imported() -> dict[str, set[str]]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *IN_ORDER], cwd=ROOT, check=True, capture_output=True, text=True, timeout=120)
    return {name: set(modules) for name, modules in json.loads(done.stdout).items()}


def test_nothing_is_imported_that_a_start_does_not_need() -> None:
    imported = _imported()
    assert {name: [library for library in NOWHERE if library in modules] for name, modules in imported.items()} == {
        name: [] for name in IN_ORDER
    }
    assert {library: next(name for name in IN_ORDER if library in imported[name]) for library in NOT_BEFORE} == NOT_BEFORE
