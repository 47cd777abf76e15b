"""What a measuring command found: a table for people and ``<folder>/<name>.json`` for programs."""

from __future__ import annotations

import json
import math
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from datetime import datetime

    from shared.clock import Clock

FOLDER = Path(".recoup/reports")

Value = float | int | str | None


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        target: the bound it must keep, or None where none is set.
        bound: ``min``: value ≥ target; ``max``: value ≤ target; ``equal``.
    """

    metric: str
    value: Value
    unit: str = ""
    target: Value = None
    bound: Literal["min", "max", "equal"] = "equal"

    @property
    def met(self) -> bool | None:
        """None without a target; a value that is missing or no number never meets one."""
        if self.target is None:
            return None
        if self.bound == "equal":
            return self.value == self.target
        if not isinstance(self.value, int | float) or not isinstance(self.target, int | float):
            return False
        return self.value >= self.target if self.bound == "min" else self.value <= self.target


@dataclass(slots=True)
class Report:
    """Collects rows while a command runs; ``finish`` prints, writes and says whether every target was met."""

    name: str
    clock: Clock
    rows: list[Row] = field(default_factory=list)
    _started_at: datetime = field(init=False)
    _started: float = field(init=False)

    def __post_init__(self) -> None:
        self._started_at = self.clock.now()
        self._started = self.clock.monotonic()

    def add(self, metric: str, value: Value, unit: str = "", **bound: Value) -> None:
        """Add a figure; at most one of ``min``, ``max``, ``equal`` sets its target."""
        if not bound:
            self.rows.append(Row(metric, value, unit))
            return
        ((kind, target),) = bound.items()
        assert kind in {"min", "max", "equal"}
        self.rows.append(Row(metric, value, unit, target, kind))  # type: ignore[arg-type]  # narrowed by the line above

    def finish(self, console: Console, folder: Path = FOLDER) -> bool:
        """Returns True where every target is met; a command ends with exit status 1 otherwise."""
        console.print(self._table())
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")
        console.print(f"report: {path}")
        return all(row.met is not False for row in self.rows)

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "started_at": self._started_at.isoformat(),
            "duration_s": round(self.clock.monotonic() - self._started, 3),
            "machine": {
                "processor": platform.machine(),
                "cores": os.cpu_count(),
                "system": platform.system(),
                "python": platform.python_version(),
            },
            "rows": [{"metric": r.metric, "value": _finite(r.value), "unit": r.unit, "target": r.target, "met": r.met} for r in self.rows],
        }

    def _table(self) -> Table:
        table = Table("metric", "value", "unit", "target", "met", title=self.name)
        marks = {None: "", True: "yes", False: "[bold red]NO[/]"}
        for row in self.rows:
            value = f"{row.value:,.4g}" if isinstance(row.value, float) else "-" if row.value is None else f"{row.value}"
            sign = {"min": "≥ ", "max": "≤ ", "equal": "= "}[row.bound]
            table.add_row(row.metric, value, row.unit, "" if row.target is None else f"{sign}{row.target}", marks[row.met])
        return table


def _finite(value: Value) -> Value:
    """JSON has no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
