"""Processes and commands start without libraries that they need rarely or never: every import is waited for, and stays in memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

from services.cli.main import COMMANDS
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

# Of each extra what its commands cannot do without.
OF_EXTRAS = ("numpy", "scipy", "fastapi", "uvicorn", "standardwebhooks", "kafka", "onnxruntime", "tokenizers", "reportlab", "xlsxwriter")

PROGRAM = """
import json, sys
from importlib import import_module

sys.modules.update(dict.fromkeys(json.loads(sys.argv.pop(1))))

there = {}
for name in sys.argv[1:]:
    import_module(name)
    there[name] = sorted(sys.modules)
json.dump(there, sys.stdout)
"""


def _imported(names: Sequence[str], without: Sequence[str] = ()) -> dict[str, set[str]]:
    command = [sys.executable, "-c", PROGRAM, json.dumps(without), *names]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=120)
    return {name: set(modules) for name, modules in json.loads(done.stdout).items()}


def test_nothing_is_imported_that_a_start_does_not_need() -> None:
    imported = _imported(IN_ORDER)
    assert {name: [library for library in NOWHERE if library in modules] for name, modules in imported.items()} == {
        name: [] for name in IN_ORDER
    }
    assert {library: next(name for name in IN_ORDER if library in imported[name]) for library in NOT_BEFORE} == NOT_BEFORE


def test_commands_that_need_no_extra_start_without_any() -> None:
    names = [command.module for command in COMMANDS if not command.extra]
    assert list(_imported(names, without=OF_EXTRAS)) == names
