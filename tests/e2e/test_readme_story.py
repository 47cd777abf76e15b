"""What the README tells a newcomer to type does what it says."""

from __future__ import annotations

import csv
import gzip
import re
import subprocess
import sys
import time
from datetime import datetime
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from services.supervisor.settings import inherited_environment
from tests import local_http
from tests.harness.company import company
from tests.harness.line import ReadyLine
from tests.patience import HANG_SECONDS
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
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "202 Accepted" in done.stdout
    key = done.stdout.rpartition("key=")[2].strip()
    for event_id in ("c-1001", "c-1002"):
        assert _settled(line, key, event_id)["automation"] == "complaints"


def test_a_real_log_of_handling_becomes_a_baseline_of_the_running_line(line: ReadyLine, tmp_path: Path, public_data: Path) -> None:
    """The first 2,000 loan applications or so of a bank's log; what it must give is added up here in another way."""
    log = tmp_path / "loans.csv.gz"
    with gzip.open(public_data / "eventlogs" / "real-start-end" / "bpic2017_w.csv.gz", "rt", encoding="utf-8") as whole:
        lines = list(islice(whole, 16_000))
    log.write_bytes(gzip.compress("".join(lines).encode()))
    seconds: dict[str, float] = {}
    for row in csv.DictReader(lines):
        spent = (datetime.fromisoformat(row["end_time"]) - datetime.fromisoformat(row["start_time"])).total_seconds()
        seconds[row["case_id"]] = seconds.get(row["case_id"], 0.0) + (spent if spent <= 8 * 3600 else 0.0)
    with company(line) as acme:
        command = [sys.executable, "-m", "services.cli.main", "import", "baseline", str(log), "--automation", "invoices", "--format", "csv"]
        environment = line.environment | {"RECOUP_API_KEY": acme.key, "RECOUP_OPS_URL": line.url("ops")}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=HANG_SECONDS)
        assert (done.returncode, "1 baseline stored" in done.stderr) == (0, True), done.stderr
        (evidence,) = acme.ask("roi", "GET", "/v1/roi/evidence?automation=invoices")["automations"]
    (found,) = evidence["baselines"]
    assert len(seconds) > 1500
    assert (found["grade"], found["n"], found["stratum"], found["expired"]) == ("B", len(seconds), "*", False)
    assert float(found["mean_seconds"]) == pytest.approx(fmean(seconds.values()), abs=0.001)


def _of_a_newcomer() -> dict[str, str]:
    return {name: value for name, value in inherited_environment().items() if not name.startswith("RECOUP_")}


def _settled(line: ReadyLine, key: str, event_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + HANG_SECONDS
    while time.monotonic() < deadline:
        answer = local_http.get(f"{line.url('ops')}/v1/cases", params={"event_id": event_id}, headers={"Authorization": f"Bearer {key}"})
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
