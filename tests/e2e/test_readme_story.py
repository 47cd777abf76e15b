"""What the README tells a newcomer to type does what it says."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.supervisor.settings import inherited_environment
from tests.harness.line import ReadyLine
from tests.servers import ROOT

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def _blocks(language: str) -> list[str]:
    section = README.partition("## Connect your ERP in ten minutes")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def test_an_erp_is_connected_by_what_the_readme_says(line: ReadyLine, tmp_path: Path) -> None:
    start, connect = _blocks("bash")
    assert "recoup up" in start
    (program,) = _blocks("python")
    # The folder of a newcomer: the environment that make has built, and the data of a running `recoup up`.
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / ".recoup").symlink_to(line.data)
    story = f"{connect}\npython - <<'END'\n{program}\nEND\necho; echo key=$RECOUP_API_KEY"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", story],
        cwd=tmp_path,
        env=_of_a_newcomer(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "202 Accepted" in done.stdout
    key = done.stdout.rpartition("key=")[2].strip()
    for event_id in ("c-1001", "c-1002"):
        assert _settled(line, key, event_id)["automation"] == "complaints"


def _of_a_newcomer() -> dict[str, str]:
    return {name: value for name, value in inherited_environment().items() if not name.startswith("RECOUP_")}


def _settled(line: ReadyLine, key: str, event_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        answer = httpx.get(f"{line.url('ops')}/v1/cases", params={"event_id": event_id}, headers={"Authorization": f"Bearer {key}"})
        answer.raise_for_status()
        for case in answer.json()["items"]:
            if case["state"] in {"decided", "review"}:
                return dict(case)
        time.sleep(0.2)
    raise TimeoutError(f"{event_id} was not settled")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings_that_exist(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", document.read_text(encoding="utf-8")):
        path, _, heading = target.partition("#")
        file = document.parent / path if path else document
        assert file.exists(), f"{target} in {document.name}"
        if heading:
            assert heading in _anchors(file), f"{target} in {document.name}"


def _anchors(file: Path) -> set[str]:
    """As the usual forges make them of headings."""
    headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
