"""The lab from its command line, and what its tests read: public data, and a table of which a pack is made."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from services.lab.main import app

DATA = Path(os.environ.get("RECOUP_TEST_DATA", Path(__file__).parents[1] / "../shared/data"))  # noqa: TID251 - where public data are is the machine's
CFPB = DATA / "cfpb-narratives/narratives_train.csv.gz"
INSURANCE = DATA / "multidogo/sentence_level/insurance"
UTTERANCES = ("--text", "utterance", "--label", "intent")
TICKETS = ("--text", "words", "--label", "team")


def lab(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def evaluated(*arguments: str | Path) -> dict[str, Any]:
    result = lab("evaluate", *arguments, "--json")
    assert result.exit_code == 0, result.output
    figures: dict[str, Any] = json.loads(result.stdout)
    return figures


def refusal_of(*arguments: str | Path) -> str:
    """What a command says before it ends with status 2, in one line."""
    result = lab(*arguments)
    assert result.exit_code == 2, result.output
    return " ".join(result.output.replace("│", " ").split())


def write_tickets(folder: Path) -> None:
    """A table of two labels that are easily told, and the pack that is made of it."""
    draws = random.Random(5)
    words = {
        "pay": ["bill", "invoice", "amount", "transfer", "payment", "owe"],
        "lose": ["card", "lost", "stolen", "wallet", "missing", "blocked"],
    }
    texts = [(label, " ".join(draws.choices(words[label], k=4))) for label in ("pay", "lose") * 1_200]
    rows = [f"{index * 7_919 % 9_973} {text} please,{label}" for index, (label, text) in enumerate(texts)]
    (folder / "rows.csv").write_text("\n".join(["words,team", *rows]), encoding="utf-8")
    trained = lab("train", "--task", "tickets", "--data", folder / "rows.csv", *TICKETS, "--no-mini", "--out", folder / "pack")
    assert trained.exit_code == 0, trained.output
