"""An automation of loan applications, as a customer would write it: it decides what is complete, and validates the rest for people.

Installed beside Recoup by `publish`; nothing else knows it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.automations.contract import Automation, Context, Outcome, Verdict


class Application(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    number: str = Field(min_length=1, max_length=64)
    channel: Literal["online", "leads", "offers"]
    files_complete: bool


def rules(application: Application, _context: Context) -> Verdict | None:
    return Verdict("proceed", reasons=("files_complete",)) if application.files_complete else None


AUTOMATION = Automation(
    name="loans",
    event_type="com.example.loan.applied.v1",
    data_model=Application,
    outcomes={"proceed": Outcome(), "decline": Outcome(adverse=True)},
    rules=rules,
    stratum=lambda application: application.channel,
)


def publish(folder: Path) -> Path:
    """Install this module as a distribution of its own; returns what goes into PYTHONPATH."""
    metadata = folder / "loan_applications-1.dist-info"
    metadata.mkdir(parents=True)
    (folder / "loan_applications.py").write_bytes(Path(__file__).read_bytes())
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: loan-applications\nVersion: 1\n", encoding="utf-8")
    entry = "[recoup.automations]\nloans = loan_applications:AUTOMATION\n"
    (metadata / "entry_points.txt").write_text(entry, encoding="utf-8")
    return folder
