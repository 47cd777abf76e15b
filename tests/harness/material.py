"""Real events out of public data."""

from __future__ import annotations

import csv
import gzip
from itertools import islice
from pathlib import Path

from tests.harness.company import Sent


def invoices(data: Path) -> list[Sent]:
    """Every XML invoice of the XRechnung test suite."""
    files = sorted((data / "xrechnung-testsuite").rglob("*.xml"))
    return [Sent(f"xrechnung-{file.stem}-{n}", "invoices", {"document": file.read_text(encoding="utf-8")}) for n, file in enumerate(files)]


def complaints(data: Path, count: int) -> list[Sent]:
    """The first consumer complaints with a text."""
    with gzip.open(data / "cfpb-narratives" / "narratives_train.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = islice((row for row in csv.DictReader(file) if row["narrative"].strip()), count)
        return [Sent(f"cfpb-{row['row_id']}", "complaints", {"text": row["narrative"]}) for row in rows]
