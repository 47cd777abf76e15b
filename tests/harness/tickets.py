"""A table of tickets as a helpdesk would export it, and the pack that the guide's command makes of it."""

from __future__ import annotations

import csv
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

from services.supervisor.settings import inherited_environment
from tests.servers import ROOT

GUIDE: Final = (ROOT / "docs/automations.md").read_text(encoding="utf-8")
_ASKS: Final = {
    "billing": (
        "the invoice shows a wrong amount",
        "you charged my card twice",
        "please refund the fee",
        "the bill of last month is wrong",
    ),
    "shipping": ("the parcel has not arrived", "where is my delivery", "the courier lost the package", "tracking shows no movement"),
    "legal": ("my lawyer will contact you", "I will take you to court", "this breaks the law", "I demand compensation in court"),
}
_OPENINGS: Final = ("Hello", "Good morning", "Dear team", "Hi there", "To whom it may concern")
_ENDINGS: Final = ("thanks", "please answer soon", "best regards", "I am waiting", "order {number}")


def commands() -> list[str]:
    """Of the section that goes from a table to a running automation."""
    section = GUIDE.partition("## From a table to a running automation")[2].partition("\n## ")[0]
    return re.findall(r"```bash\n(.*?)```", section, re.DOTALL)


def write(path: Path, count: int = 1_500) -> None:
    draws = random.Random(1)
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("thread", "body", "channel", "items", "team"))
        for number in range(count):
            team = draws.choices(("billing", "shipping", "legal"), (5, 5, 1))[0]
            words = f"{draws.choice(_OPENINGS)}, {draws.choice(_ASKS[team])}, {draws.choice(_ENDINGS)}".format(number=number)
            rows.writerow((f"thread {number}", words, draws.choice(("mail", "phone")), draws.randrange(1, 40), team))


def train(folder: Path) -> Path:
    """The first command of the guide, run in ``folder``; returns what goes into RECOUP_PACKS."""
    write(folder / "tickets.csv")
    program, *arguments = shlex.split(commands()[0].replace("\\\n", " "))
    assert program == "recoup"
    subprocess.run([sys.executable, "-m", "services.cli.main", *arguments], cwd=folder, check=True, capture_output=True, timeout=120,
                   env={**inherited_environment(), "PYTHONPATH": str(ROOT)})  # fmt: skip
    return folder / "packs"
