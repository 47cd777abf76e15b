"""A report says which targets were met, to people and to programs."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from shared.reports import Report, Row

if TYPE_CHECKING:
    from pathlib import Path


class SteppingClock:
    """Every look takes a second and a half."""

    def __init__(self) -> None:
        self._elapsed = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 23, 8, tzinfo=UTC)

    def monotonic(self) -> float:
        self._elapsed += 1.5
        return self._elapsed


def _report(name: str = "demo") -> Report:
    return Report(name, SteppingClock())


def _finish(report: Report, folder: Path) -> tuple[bool, str, dict[str, Any]]:
    """Verdict, what people see, what programs read."""
    shown = io.StringIO()
    met = report.finish(Console(file=shown, width=200), folder)
    return met, shown.getvalue(), json.loads((folder / f"{report.name}.json").read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (Row("m", 1), None),
        (Row("m", 2, target=2, bound="min"), True),
        (Row("m", 1.9, target=2, bound="min"), False),
        (Row("m", 2, target=2, bound="max"), True),
        (Row("m", 2.1, target=2, bound="max"), False),
        (Row("m", 0, target=0), True),
        (Row("m", 1, target=0), False),
        (Row("m", "yes", target="yes"), True),
        (Row("m", None, target=0), False),
        (Row("m", None, target=1, bound="max"), False),
        (Row("m", "many", target=1, bound="min"), False),
        (Row("m", float("nan"), target=1, bound="max"), False),
    ],
)
def test_a_figure_meets_its_target_or_does_not_or_has_none(row: Row, met: bool | None) -> None:  # noqa: FBT001  # a column of the table
    assert row.met is met


def test_the_file_has_the_agreed_shape(tmp_path: Path) -> None:
    report = _report()
    report.add("events", 1000, "events", min=900)
    report.add("p99", 0.25, "s")
    _, _, found = _finish(report, tmp_path / "not there yet")
    assert list(found) == ["name", "started_at", "duration_s", "machine", "rows"]
    assert found["name"] == "demo"
    assert found["started_at"] == "2026-11-23T08:00:00+00:00"
    assert found["duration_s"] == 1.5
    assert isinstance(found["machine"], dict)
    assert found["rows"] == [
        {"metric": "events", "value": 1000, "unit": "events", "target": 900, "met": True},
        {"metric": "p99", "value": 0.25, "unit": "s", "target": None, "met": None},
    ]


def test_one_missed_target_fails_the_report_and_is_shown(tmp_path: Path) -> None:
    report = _report()
    report.add("lost", 0, equal=0)
    report.add("p99", 0.31, "s", max=0.25)
    met, shown, _ = _finish(report, tmp_path)
    assert not met
    assert "NO" in shown
    assert "≤ 0.25" in shown


def test_figures_without_targets_do_not_fail_a_report(tmp_path: Path) -> None:
    report = _report()
    report.add("cpu", 12.0, "s")
    assert _finish(report, tmp_path)[0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_figure_that_is_no_number_is_written_as_null(value: float, tmp_path: Path) -> None:
    report = _report()
    report.add("ratio", value, max=1)
    met, _, found = _finish(report, tmp_path)
    assert not met or value == float("-inf")
    assert found["rows"][0]["value"] is None


def test_a_figure_has_one_target_at_most() -> None:
    with pytest.raises(ValueError, match="unpack"):
        _report().add("m", 1, min=0, max=2)


def test_a_figure_that_is_not_known_is_a_dash_to_people_and_null_to_programs(tmp_path: Path) -> None:
    report = _report()
    report.add("saved_hours", None, "h")
    _, shown, read = _finish(report, tmp_path)
    assert "│ saved_hours │ -     │ h" in shown
    assert read["rows"][0]["value"] is None
