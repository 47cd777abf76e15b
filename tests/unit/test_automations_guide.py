"""The example of docs/automations.md is run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

from services.worker.runtime.build import SHIPPED, Kit, build_cascade
from services.worker.tiers import CaseInput
from shared.automations.contract import Automation

GUIDE = (Path(__file__).parents[2] / "docs/automations.md").read_text(encoding="utf-8")


def _block(language: str) -> str:
    match = re.search(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert match
    return match[1]


def _example(folder: Path) -> Automation:
    """The module of the guide, imported from a file."""
    (folder / "guide_expenses.py").write_text(_block("python"), encoding="utf-8")
    sys.path.insert(0, str(folder))
    try:
        import guide_expenses  # type: ignore[import-not-found]  # noqa: PLC0415 - it is written by this test
    finally:
        sys.path.remove(str(folder))
    found = guide_expenses.AUTOMATION
    assert isinstance(found, Automation)
    return found


def test_the_example_needs_fewer_than_forty_lines() -> None:
    assert len([line for line in _block("python").splitlines() if line.strip()]) < 40


def test_the_example_pays_asks_and_refuses_as_the_guide_says(tmp_path: Path) -> None:
    automation = _example(tmp_path)
    cascade = build_cascade(automation, Kit.read(SHIPPED))

    def expense(**changes: Any) -> CaseInput:
        data = {"employee": "e1", "spent_on": "2026-10-01", "amount": "12.50", "has_receipt": True} | changes
        return CaseInput(uuid.uuid4(), automation.data_model.model_validate(data))

    paid, refused, large = cascade.decide([expense(), expense(has_receipt=False), expense(amount="800")])
    assert paid.verdict is not None
    assert paid.verdict.outcome == "pay"
    assert (refused.needs_person, refused.reasons) == (True, ("adverse", "no_receipt"))
    assert (large.needs_person, large.reasons) == (True, ("uncertain",))
    assert automation.stratum(large.case.data) == "large"


def test_an_installed_entry_point_is_all_it_takes(tmp_path: Path) -> None:
    package, metadata = tmp_path / "my_company", tmp_path / "my_company-1.dist-info"
    package.mkdir()
    metadata.mkdir()
    (package / "expenses.py").write_text(_block("python"), encoding="utf-8")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-company\nVersion: 1\n", encoding="utf-8")
    entry = _block("toml").strip().splitlines()[1].replace('"', "")
    (metadata / "entry_points.txt").write_text(f"[recoup.automations]\n{entry}\n", encoding="utf-8")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from shared.automations.registry import for_event_type;"
        "print(for_event_type('com.example.expense.submitted.v1').name)"
    )
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert result.stdout.strip() == "expenses", result.stderr
