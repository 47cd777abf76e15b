"""A document's score is the same in any process, and the worker's process needs nothing that only the lab has."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from shared.automations.pack import MANIFEST, render
from tests.scores import scores
from tests.servers import ROOT
from tests.tiny_models import tiny_pack, words

if TYPE_CHECKING:
    from pathlib import Path


def _in_a_process(folder: Path, texts: list[str], *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.scores", str(folder), *options]
    done = subprocess.run(command, cwd=ROOT, input=json.dumps(texts), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_scores_are_the_same_in_other_processes_in_other_orders_and_without_the_labs_libraries(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(render([tiny_pack(tmp_path, "complaints")]), encoding="utf-8")
    texts = [*words(30, 3), "", "Zürich, naïve café", "my mortgage " * 300]
    here = scores(tmp_path, texts, range(len(texts)))
    # Three tiers, of which one is mixed.
    assert len(here) == 4 * len(texts)
    assert len(set(here)) > 3 * len(texts)
    plain, runtime = _in_a_process(tmp_path, texts, "1"), _in_a_process(tmp_path, texts, "2", "--runtime")
    assert plain["scores"] == here
    assert runtime["scores"] == here
    assert runtime["loaded"] == []
